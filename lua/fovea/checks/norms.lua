--- finite, and not a plain average, at inputs ten and a hundred times larger

--- How much of what tells the rows of y apart is left: the spread of y about its mean row.
local function spread(y)
  return (y - y:mean(-2):unsqueeze(-2)):abs():max():item()
end

return {
  name = "norms",
  doc = "Finite at large inputs, and no collapse to the plain average.\n"
     .. "Inputs N(0,1) times 10 and 100 in f32. Attention: figure is 1 - the spread of the rows of the\n"
     .. "output at x10 over that at x1 (features below an epsilon collapse here); inf where it is not\n"
     .. "finite. Maps are reported, and fail where all rows get the same features.",
  kinds = "map attention",
  build = function()
    return {
      test = function(s)
        local note = {}
        if s.kind == "map" then
          local first = s.thing(s:draw({ dtype = "f32" })[1], "q")
          for _, c in ipairs { 10, 100 } do
            local y = s.thing(s:draw({ dtype = "f32", scale = c })[1], "q")
            local zero = y:eq(0):all(-1):sum():item()
            local word = "finite"
            if y:isfinite():all():item() == 0 then word = "overflows"
            elseif zero > 0 then word = ("%d of %d rows are 0"):format(zero, y:size(-2))
            elseif spread(y) < 1e-3 * y:abs():max():item()
                   and spread(first) > 1e-2 * first:abs():max():item() then
              return { figure = 1, bound = 0.999, note = ("x%d: all rows have the same features"):format(c) }
            end
            note[#note + 1] = ("x%d: %s"):format(c, word)
          end
          return { note = table.concat(note, ", ") }
        end
        local base = spread(s:call(s:draw { dtype = "f32" })[1])
        local worst = 0
        for _, v in ipairs(s.variants) do
          for _, c in ipairs { 10, 100 } do
            local y = s:call(s:draw { dtype = "f32", scale = c }, v[2])[1]
            if y:isfinite():all():item() == 0 then
              return { figure = math.huge, bound = 0.98, note = ("not finite at x%d %s"):format(c, v[1]) }
            end
            if c == 10 and v[1] == "" and s.path ~= "control" then
              worst = math.max(worst, 1 - spread(y) / base)
              note[#note + 1] = ("spread x%.2g at x10"):format(spread(y) / base)
            end
          end
        end
        return { figure = worst, bound = 0.98,
                 note = worst > 0.98 and "rows become alike: the plain average, or nothing"
                 or "finite at x10, x100" .. (note[1] and "; " .. note[1] or "") }
      end
    }
  end
}
