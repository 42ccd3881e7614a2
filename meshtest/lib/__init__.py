"""Small general helpers of the standard library only; they know nothing of meshes."""
