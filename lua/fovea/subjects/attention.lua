--- An attention operator as a subject: q (2, n, d), k (2, m, d), v (2, m, e) -> o (2, n, e).

return function(s)
  local attend, opt = s.thing, s.opt
  local made = type(attend) == "table" and rawget(attend, "kind") == "attention"
  s.name = made and attend.name or opt.name or "function"
  local takes = {}
  if made then
    for word, on in pairs(attend.caps) do s.caps[word] = on end
    for name in pairs(attend.entry.call.by) do takes[name] = true end
    s.acausal = attend.entry.acausal
    if not s.acausal and not takes.causal then s.acausal = "no option causal" end
    takes.causal = not s.acausal
  else
    local caps = " " .. (opt.caps or "") .. " "
    takes.causal, takes.key_length = caps:find " causal " ~= nil, caps:find " padding " ~= nil
    s.acausal = not takes.causal and "caps do not say causal" or nil
  end
  s.made, s.takes = made, takes
  s.inputs = { { name = "q", dims = "nd" }, { name = "k", dims = "md" }, { name = "v", dims = "me" } }
  function s.tokens() return -2 end
  function s.draw(_, o)
    local rng, n, m = s:rng(o.purpose or "qkv"), o.n or opt.n, o.n or opt.m
    local q, k = rng:normal(2, n, opt.d, { dtype = "f64" }), rng:normal(2, m, opt.d, { dtype = "f64" })
    local v, c = rng:normal(2, m, opt.e, { dtype = "f64" }), o.scale or 1
    return { (q * c):to(o.dtype or "f64"), (k * c):to(o.dtype or "f64"), v:to(o.dtype or "f64") }
  end
  function s.call(_, x, o)
    local given
    for name, value in pairs(o or {}) do
      given = given or {}
      given[name] = value
    end
    local y, info = attend(x[1], x[2], x[3], given)
    s.path = type(info) == "table" and info.path or s.path
    return { y }
  end
  if s.caps.streaming then
    s.pieces = { causal = true }
    function s.apply(_, x, o)
      local y, _, state = attend(x[1], x[2], x[3], { causal = true, state = o.state or {} })
      return y, state
    end
    function s.parts(_, o) return { o } end
  end
  if takes.causal then s.variants = { { "", {} }, { "causal", { causal = true } } } end
  local plain = opt.reference
  if type(plain) ~= "function" then
    local list = require "fovea.oracle.attention"
    plain = list[plain or s.name]
    if opt.reference and not plain then
      error(("check: option 'reference': no reference is named '%s'"):format(opt.reference), 0)
    end
  end
  if plain then
    function s.reference(_, x, o)
      local y, bound, note = plain(x[1], x[2], x[3], o or {}, made and attend.options or {}, attend)
      return y and { y }, bound, note
    end
  end
end
