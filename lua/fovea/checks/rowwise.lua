--- phi(x)_t = phi(x_t)

return {
  name = "rowwise",
  doc = "The features of a row depend on that row alone.\n"
     .. "Not on its place or its neighbours: a maximum over all keys, or a sum along the wrong axis, is\n"
     .. "found here. figure: largest difference of phi(x)_t and phi of the row alone, relative, f64,\n"
     .. "with one row ten times larger.",
  kinds = "map",
  build = function()
    return {
      applies = function(s) return not s.caps.global, "its caps say global" end,
      test = function(s)
        local x = s:draw({})[1]
        local n, worst = x:size(1), 0
        x:slice(1, n, n):mul_(10)
        for _, from in ipairs { 1, n - 1 } do
          local few = s:call { x:slice(1, from, from) }
          for j, y in ipairs(s:call { x }) do
            worst = math.max(worst, s:gap(y:slice(1, from, from), few[j]))
          end
        end
        return { figure = worst, bound = 1e-11, note = worst > 1e-11 and "a row sees other rows" or nil }
      end
    }
  end
}
