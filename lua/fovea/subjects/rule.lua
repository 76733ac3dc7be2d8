--- An update rule as a subject: its inputs by name -> o (n, e) and the parts of its state.

local core = require "fovea.core"
local specimen = require "fovea.specimen"

return function(s)
  local rule, opt = s.thing, s.opt
  if type(rule) ~= "table" or rawget(rule, "kind") ~= "rule" then
    error("check: kind 'rule': expected a rule that fv.rule made", 0)
  end
  s.name = rule.name
  for word, on in pairs(rule.caps) do s.caps[word] = on end
  local sizes = { n = opt.n, m = opt.n, d = opt.d, e = opt.e, j = 2 }
  s.inputs = {}
  for i, a in ipairs(rule.inputs) do
    s.inputs[i] = { name = a.name, dims = table.concat(a.dims), least = #a.dims, optional = a.optional }
  end
  function s.tokens(_, i)
    local at = s.inputs[i].dims:find "n"
    return at and at - #s.inputs[i].dims - 1
  end
  local rates = { beta = true, erase = true, w = rule.name == "gated_delta2", a = true }
  function s.draw(_, o)
    local x, own = {}, setmetatable({ n = o.n or opt.n }, { __index = sizes })
    for i, a in ipairs(s.inputs) do
      local as = setmetatable({ name = rates[a.name] and "beta" or a.name, dtype = false }, { __index = a })
      as.dtype = nil
      local y = specimen.draw(as, {}, own, "f64", opt.seed + i + #(o.purpose or ""))
      if a.name == "k" or a.name == "kappa" then y = y / y:square():sum(-1):sqrt():unsqueeze(-1) end
      if i == 1 or a.name == "v" then y = y * (o.scale or 1) end
      x[i] = y:to(o.dtype or "f64")
    end
    return x
  end
  --- o and the state's parts in the order the rule lists them.
  function s.parts(_, o, state)
    local y = { o }
    for _, a in ipairs(rule.state) do y[#y + 1] = #rule.state == 1 and state or state[a.name] end
    return y
  end
  function s.apply(_, x, o)
    local args = {}
    for i, a in ipairs(s.inputs) do args[a.name] = x[i] end
    return rule:apply(args, o)
  end
  function s.call(_, x, o) return s:parts(s:apply(x, o)) end
  local plain = opt.reference or require "fovea.oracle.rules"[rule.name]
  if plain then
    function s.reference(_, x)
      local by = {}
      for i, a in ipairs(s.inputs) do by[a.name] = x[i] end
      return { core.tensor(plain(by, rule.options), { dtype = "f64" }) }
    end
  end
end
