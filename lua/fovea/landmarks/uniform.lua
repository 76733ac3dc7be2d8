--- m rows at random

return {
  name = "uniform",
  doc = "m rows drawn uniformly without replacement, in their order.\n"
     .. "The same rows for all entries of a batch. O(n).",
  ref = "Williams & Seeger 2001, Using the Nystrom Method to Speed Up Kernel Machines",
  caps = "random",
  example = 'fv.landmarks("uniform", {count=64, seed=1})(x)',
  build = function()
    return {
      index = function(n, m, rng)
        return (rng:permutation(n):slice(1, 1, m):sort())
      end
    }
  end
}
