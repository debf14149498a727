"""What instruments report of a cell, and back from their files to concentration and velocity."""
