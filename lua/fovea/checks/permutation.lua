--- f(P k, P v) = f(k, v), f(P q, k, v) = P f(q, k, v)

return {
  name = "permutation",
  doc = "The order of the keys does not matter.\n"
     .. "For what claims order_equivariant: keys permuted with their values change nothing, and\n"
     .. "permuted queries give permuted results. figure: largest relative difference, f64.",
  kinds = "attention operator",
  build = function()
    return {
      applies = function(s)
        return s.caps.order_equivariant == true, "its caps do not say order_equivariant"
      end,
      test = function(s)
        local x = s:draw {}
        local y, z = s:call(x)[1], table.move(x, 1, #x, 1, {})
        for i, a in ipairs(s.inputs) do
          if x[i] and a.dims:sub(1, 1) == "m" then z[i] = s:roll(x[i], -#a.dims, 2) end
        end
        local worst = s:gap(s:call(z)[1], y)
        z = table.move(x, 1, #x, 1, {})
        z[1] = s:roll(x[1], -2, 3)
        return { figure = math.max(worst, s:gap(s:call(z)[1], s:roll(y, -2, 3))), bound = 1e-11 }
      end
    }
  end
}
