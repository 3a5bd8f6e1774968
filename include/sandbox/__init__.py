"""A Lever and an iMocha on one machine, in memory: to try the product and to test it; never for production."""
