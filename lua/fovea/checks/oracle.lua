--- |f(x) - definition(x)|, in f64

return {
  name = "oracle",
  doc = "Equals its definition, written plainly.\n"
     .. "The reference is in Lua's doubles: dense sums over all pairs for attention, a loop over tokens\n"
     .. "for rules, the formula for operators and kernels. figure: largest difference relative to the\n"
     .. "larger of 1 and the largest entry, f64.",
  kinds = "attention rule operator kernel",
  build = function()
    return {
      applies = function(s)
        return s.reference ~= nil, "no reference is known; give reference=function"
      end,
      test = function(s)
        local worst, bound, note, ran = 0, 1e-11, nil, 0
        for _, v in ipairs(s.variants) do
          local x = s:draw { variant = v, batch = false }
          local y, own, why = s:reference(x, v[2])
          if y and y[1] then
            ran, bound, note = ran + 1, math.max(bound, own or 0), why or note
            worst = math.max(worst, s:gap(s:call(x, v[2])[1], y[1]))
          end
        end
        if ran == 0 then return { skip = "the reference does not cover these options" } end
        if s.path == "exact" and not s.caps.exact then note = "the exact path ran: it has as many rows" end
        return { figure = worst, bound = bound,
                 note = note or ran .. (ran == 1 and " setting" or " settings") }
      end
    }
  end
}
