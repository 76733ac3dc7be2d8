--- token = chunk, at every chunk length

return {
  name = "forms",
  doc = "Token and chunk forms, and all lengths of chunks, agree.\n"
     .. "figure: largest relative difference from the token form, f64, over chunks of 1, 3, 4, 16 and\n"
     .. "n.",
  kinds = "rule operator",
  build = function()
    return {
      applies = function(s)
        local list = s.kind == "rule" and (rawget(s.thing, "kernel") or {}).options or s.thing.options
        for _, o in ipairs(type(s.thing) ~= "function" and list or {}) do
          if o.name == "form" then s.chunk = { lo = o.lo } end
        end
        return s.chunk ~= nil, "it has one form"
      end,
      test = function(s)
        local x, worst, ran = s:draw { n = 23 }, 0, 0
        local want = s:call(x, { form = "token" })
        for _, chunk in ipairs { 0, 1, 3, 4, 16, 23 } do
          local good, y = pcall(s.call, s, x, { form = "chunk", chunk = chunk })
          if good then
            ran, worst = ran + 1, math.max(worst, s:gaps({ y[1], y[2] }, { want[1], want[2] }))
          elseif chunk == 0 then error(y, 0) end
        end
        return { figure = worst, bound = 1e-11, note = ran .. " chunk lengths" }
      end
    }
  end
}
