"""Load generators side by side: what each is told to do, a server that writes down what it did, and what each said."""
