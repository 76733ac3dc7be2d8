--- A kernel as a subject: x (n, d), y (m, d) -> Gram matrix (n, m).

return function(s)
  local k, opt = s.thing, s.opt
  local own = type(k) ~= "function" and (type(k) == "userdata" or rawget(k, "kind"))
  s.name = own and k.name or opt.name or "function"
  for word, on in pairs(own and k.caps or {}) do s.caps[word] = on end
  s.inputs = { { name = "x", dims = "nd" }, { name = "y", dims = "md" } }
  function s.tokens() return 1 end
  function s.draw(_, o)
    local x = s:rng(o.purpose or "x"):normal(o.n or opt.n, opt.d, { dtype = "f64" })
    local y = s:rng((o.purpose or "x") .. " y"):normal(opt.m, opt.d, { dtype = "f64" })
    local c = (o.scale or 1) / opt.d ^ 0.25
    return { (x * c):to(o.dtype or "f64"), (y * c):to(o.dtype or "f64") }
  end
  function s.call(_, x) return { (k(x[1], x[2])) } end
  local plain = require "fovea.oracle.kernels"[s.name]
  if opt.reference then
    function s.reference(_, x) return { opt.reference(x[1], x[2]) } end
  elseif plain then
    function s.reference(_, x) return { plain(x[1], x[2], type(k) == "table" and k.options or {}) } end
  end
end
