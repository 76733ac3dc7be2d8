--- |exp(log phi) - phi|, and log phi at large norms

return {
  name = "logs",
  doc = "phi:log gives logarithms of the features, finite where the features themselves overflow or\n"
     .. "vanish (inputs of norm 100 sqrt(d)). figure: largest |exp(log phi) - phi|, relative, f64.",
  kinds = "map",
  build = function()
    return {
      applies = function(s) return s.caps.log_features == true, "its caps do not say log_features" end,
      test = function(s)
        local x = s:draw({})[1]
        local gap = s:gap(s.thing:log(x, "q"):exp(), s.thing(x, "q"))
        local far = s.thing:log((x * 100):to "f32", "q")
        if far:isfinite():all():item() == 0 then
          return { figure = math.huge, bound = 1e-11, note = "not finite at norm 100 sqrt(d) in f32" }
        end
        return { figure = gap, bound = 1e-11 }
      end
    }
  end
}
