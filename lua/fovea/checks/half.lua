--- |f(x rounded), rounded - f(x)| under bf16 and fp16

local fv = require "fovea"

return {
  name = "half",
  doc = "Error under emulated bf16 and fp16: a report.\n"
     .. "Inputs and results are rounded (fv.precision), arithmetic stays in f32; against f64 on the\n"
     .. "rounded inputs. Relative Frobenius error of the main result. It fails only where the result is\n"
     .. "finite in f64 and not in bf16, which has the range of f32.",
  kinds = "map attention rule operator kernel",
  build = function()
    return {
      test = function(s)
        local note, worst = {}, 0
        for _, format in ipairs { "bf16", "fp16" } do
          local x, rounded, wide = s:draw { dtype = "f32" }, {}, {}
          for i, y in ipairs(x) do
            rounded[i] = y and (y:dtype() == "f32" and fv.precision.round(y, format) or y)
            wide[i] = y and (y:dtype() == "f32" and rounded[i]:to "f64" or y)
          end
          local got = fv.precision.round(s:call(rounded)[1], format):to "f64"
          local want = s:call(wide)[1]:to "f64"
          if got:isfinite():all():item() == 0 then
            note[#note + 1] = format .. " not finite"
            if format == "bf16" and want:isfinite():all():item() == 1 then worst = math.huge end
          else
            local e = fv.norm(got - want):item() / math.max(1e-300, fv.norm(want):item())
            note[#note + 1] = ("%s %.2g"):format(format, e)
          end
        end
        if worst > 0 then return { figure = worst, bound = 1, note = table.concat(note, ", ") } end
        return { note = table.concat(note, ", ") }
      end
    }
  end
}
