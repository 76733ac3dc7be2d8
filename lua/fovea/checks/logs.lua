--- |exp(log phi) - phi|, and log phi at large norms

return {
  name = "logs",
  doc = "phi:log gives logarithms of the features, finite at any norm.\n"
     .. "figure: largest |exp(log phi) - phi|, relative, f64; inf where the logarithms are not finite\n"
     .. "in f32 at norm 100 sqrt(d), where features overflow or vanish.",
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
