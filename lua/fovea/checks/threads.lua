--- the same bits with 1, 2 and 3 threads

local fv = require "fovea"

return {
  name = "threads",
  doc = "The same bits with 1, 2 and 3 threads.\n"
     .. "In f32, every setting. figure: the number of results that differ.",
  kinds = "map attention rule operator kernel sampler",
  build = function()
    return {
      test = function(s)
        local differ, was = 0, fv.threads()
        local good, why = pcall(function()
          for _, v in ipairs(s.variants) do
            local o = { variant = v, dtype = "f32", n = s.kind ~= "operator" and 70 or nil }
            local x, first = s:draw(o), nil
            for _, n in ipairs { 1, 2, 3 } do
              fv.threads(n)
              local y = s:call(x, s.kind == "sampler" and { dtype = "f32" } or v[2])
              first = first or y
              for j = 1, #y do differ = differ + (s:same(y[j], first[j]) and 0 or 1) end
            end
          end
        end)
        fv.threads(was)
        if not good then error(why, 0) end
        return { figure = differ, bound = 0 }
      end
    }
  end
}
