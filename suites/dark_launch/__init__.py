"""A version that gets the users' requests and never answers them."""
