--- |f(q, k, 1) - 1|

local fv = require "fovea"

return {
  name = "rows_sum_to_one",
  doc = "The weights of a row sum to 1.\n"
     .. "Values of 1 give 1. figure: largest difference from 1, f64, at norms x1 and x4.",
  kinds = "attention operator",
  build = function()
    return {
      applies = function(s)
        return s.caps.rows_sum_to_one == true, "its caps do not say rows_sum_to_one"
      end,
      test = function(s)
        local worst = 0
        for _, scale in ipairs { 1, 4 } do
          for _, o in ipairs(s.takes and s.takes.causal and { {}, { causal = true } } or { {} }) do
            local x = s:draw { scale = scale }
            for i, a in ipairs(s.inputs) do if a.name == "v" then x[i]:fill(1) end end
            local y = s:call(x, o)[1]
            local one = fv.ones({ y:shape() }, { dtype = "f64" })
            if o.causal and y:size(-2) > x[2]:size(-2) then        -- queries before the first key see nothing
              local skip = y:size(-2) - x[2]:size(-2)
              y, one = y:slice(-2, skip + 1, -1), one:slice(-2, skip + 1, -1)
            end
            worst = math.max(worst, s:gap(y, one))
          end
        end
        return { figure = worst, bound = 1e-11 }
      end
    }
  end
}
