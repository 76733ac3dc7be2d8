--- the same call twice

return {
  name = "repeatable",
  doc = "The same call twice gives the same bits.\n"
     .. "Nothing is drawn from a hidden generator. figure: the number of results that differ.",
  kinds = "map attention rule operator kernel sampler",
  build = function()
    return {
      test = function(s)
        local differ, x = 0, s:draw { dtype = "f32" }
        local a, b = s:call(x), s:call(x)
        for j = 1, #a do differ = differ + (s:same(a[j], b[j]) and 0 or 1) end
        return { figure = differ, bound = 0, note = differ > 0 and "randomness that no seed names" or nil }
      end
    }
  end
}
