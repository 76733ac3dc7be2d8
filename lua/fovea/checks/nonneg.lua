--- min f

return {
  name = "nonneg",
  doc = "No negative features, kernel values or outputs for values v >= 0.\n"
     .. "For what claims nonneg, at inputs x1 and x3. figure: how far the smallest is below 0, in f32.",
  kinds = "map attention operator kernel",
  build = function()
    return {
      applies = function(s) return s.caps.nonneg == true, "its caps do not say nonneg" end,
      test = function(s)
        local least = math.huge
        for _, scale in ipairs { 1, 3 } do
          local x = s:draw { dtype = "f32", scale = scale }
          for i, a in ipairs(s.inputs) do
            if a.name == "v" then x[i] = x[i]:abs() end
            if s.kind == "operator" and s.caps.linear_in_v and (a.name == "q" or a.name == "k") then
              x[i] = x[i]:abs()        -- features
            end
          end
          local y = s:call(x)[1]
          local low = y:numel() > 0 and y:min():item() or 0
          least = (low ~= low) and low or math.min(least, low)
        end
        return { figure = -math.min(least, 0), bound = 0, note = ("smallest %.3g"):format(least) }
      end
    }
  end
}
