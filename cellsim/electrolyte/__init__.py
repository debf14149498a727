"""Transport sets: properties, volumes, their files, the shipped library, and the Onsager matrix."""
