"""What runs inside of the sandbox. Nothing here may import superalign, which is not visible there."""
