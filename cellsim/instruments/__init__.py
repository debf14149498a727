"""What is measured and how an instrument sees a solution; files of measurements to arrays in SI units and back."""
