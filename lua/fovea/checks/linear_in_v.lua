--- f(a v + b w) = a f(v) + b f(w)

return {
  name = "linear_in_v",
  doc = "The result is linear in the values.\n"
     .. "figure: largest relative difference of f(a v + b w) and a f(v) + b f(w), f64.",
  kinds = "attention rule operator",
  build = function()
    return {
      applies = function(s) return s.caps.linear_in_v == true, "its caps do not say linear_in_v" end,
      test = function(s)
        local x, w = s:draw {}, s:draw { purpose = "other" }
        local y, z, mix = table.move(x, 1, #x, 1, {}), table.move(x, 1, #x, 1, {}), nil
        for i, a in ipairs(s.inputs) do
          if a.name == "v" or s.name == "mamba2" and a.name == "x" then
            z[i], mix = w[i], i
            y[i] = x[i] * 2 - w[i] * 3
          end
        end
        if not mix then return { skip = "no input is named v" } end
        local want = s:call(x)[1] * 2 - s:call(z)[1] * 3
        return { figure = s:gap(s:call(y)[1], want), bound = 1e-11 }
      end
    }
  end
}
