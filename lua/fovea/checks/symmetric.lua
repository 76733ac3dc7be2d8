--- K(x, y) = K(y, x)'

return {
  name = "symmetric",
  doc = "The kernel is symmetric.\n"
     .. "A kernel, or the kernel a map claims. figure: largest relative difference of K(x, y) and K(y,\n"
     .. "x)', f64.",
  kinds = "kernel map",
  build = function()
    return {
      applies = function(s)
        if s.kind == "map" and not s.claim then return false, "the map claims no kernel in closed form" end
        return not s.caps.indefinite and not s.caps.asymmetric_kernel, "its caps say so"
      end,
      test = function(s)
        local k = s.claim or function(x, y) return s:call({ x, y })[1] end
        local x, y = s:draw({})[1], s:draw({ purpose = "other" })[1]
        return { figure = s:gap(k(x, y), k(y, x):t()), bound = 1e-12 }
      end
    }
  end
}
