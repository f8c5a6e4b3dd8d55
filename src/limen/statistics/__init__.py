"""Pure numerics: psychometric functions and their fits, detection theory, censored comparisons, power."""
