"""What an automated researcher amounts to in labour, and what one recipe of training is worth in compute of another."""
