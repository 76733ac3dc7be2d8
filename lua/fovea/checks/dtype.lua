--- |f(x in f32) - f(the same x in f64)|

return {
  name = "dtype",
  doc = "f32 agrees with f64.\n"
     .. "On the same inputs. figure: largest difference relative to the larger of 1 and the largest\n"
     .. "entry; 1e-4 leaves room for sums of some hundred terms.",
  kinds = "map attention rule operator kernel sampler",
  build = function()
    return {
      test = function(s)
        if s.kind == "sampler" then
          local a, b = s:sample(1, { dtype = "f32" }), s:sample(1)
          return { figure = s:gap(a, b:to "f32"), bound = 1e-6 }
        end
        local worst, place = 0, nil
        for _, v in ipairs(s.variants) do
          local x, wide = s:draw { variant = v, dtype = "f32" }, {}
          for i, y in ipairs(x) do wide[i] = y and (y:dtype() == "f32" and y:to "f64" or y) end
          local a, b = s:call(x, v[2]), s:call(wide, v[2])
          for j = 1, #a do
            if b[j]:dtype() == "f64" and a[j]:dtype() ~= "f32" then
              return { figure = math.huge, bound = 1e-4, note = "f32 inputs give " .. a[j]:dtype() }
            end
          end
          local gap = s:gaps(a, b)
          if gap > worst or gap ~= gap then worst, place = gap, v[1] end
        end
        return { figure = worst, bound = 1e-4, note = worst > 1e-4 and place or nil }
      end
    }
  end
}
