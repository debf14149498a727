"""Who stands where: radial distribution functions, coordination shells, clusters."""
