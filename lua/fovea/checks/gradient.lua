--- |gradient - central difference|, in f64

local fv = require "fovea"

return {
  name = "gradient",
  doc = "Gradients are central differences.\n"
     .. "f64, h = 1e-5, five coordinates of each input, in every setting. figure: largest difference\n"
     .. "relative to the larger of 1 and the difference quotient.",
  kinds = "map attention rule operator kernel",
  build = function()
    return {
      applies = function(s) return not s.fixed, s.fixed end,
      test = function(s)
        local worst, place, ran = 0, nil, 0
        for _, v in ipairs(s.variants) do
          local x = s:draw { variant = v, n = s.kind ~= "operator" and 7 or nil }
          local real = {}
          for i, y in ipairs(x) do if y and y:dtype() == "f64" then real[#real + 1] = i end end
          local function f(...)
            local all = table.move(x, 1, #x, 1, {})
            for j, i in ipairs(real) do all[i] = (select(j, ...)) end
            local y = s:call(all, v[2])
            for j = #y, 1, -1 do if y[j]:isfinite():all():item() == 0 then table.remove(y, j) end end
            return table.unpack(y)
          end
          local args, finite = {}, false
          for _, y in ipairs(s:call(x, v[2])) do finite = finite or y:isfinite():all():item() == 1 end
          for j, i in ipairs(real) do args[j] = x[i] end
          if finite then
            ran = ran + 1
            local gap, at = fv.gradcheck(f, args, { points = 5, tol = math.huge })
            if gap > worst or gap ~= gap then worst, place = gap, v[1] .. " " .. at end
          end
        end
        if ran == 0 then return { skip = "no result is finite at these inputs" } end
        return { figure = worst, bound = 1e-6, note = worst > 1e-6 and place or nil }
      end
    }
  end
}
