--- A sampler as a subject: no inputs; draw i is W (rows, d) of the seed's stream number i.

local fv = require "fovea"
local laws = require "fovea.laws"

--- The law of its rows where there is one in closed form: that of its name; of a function,
--- orthogonal or independent rows, as its caps say.
local function law(s)
  for _, name in ipairs(laws.names()) do
    if name == s.name then return laws.find(name, s.opt.d, s.norms or "chi") end
  end
  local own = type(s.thing) ~= "string" or s.name == "givens"
  return own and laws.find(s.caps.orthogonal and "orthogonal" or "iid", s.opt.d, s.norms or "chi") or nil
end

return function(s)
  local make, opt = s.thing, s.opt
  s.name = type(make) == "string" and make or opt.name or "function"
  local more = {}
  for key, value in pairs(opt.options or {}) do more[key] = value end
  s.norms = more.norms or opt.norms
  if type(make) == "string" then
    for word, on in pairs(fv.sample.entry(make).caps) do s.caps[word] = on end
  end
  s.inputs = {}
  for word in (opt.caps or ""):gmatch "%S+" do s.caps[word] = true end
  s.law = law(s)
  --- One draw; o: dtype, rows, stream.
  function s.sample(_, i, o)
    o = o or {}
    local args = { rows = o.rows or opt.rows, dim = opt.d, dtype = o.dtype or "f64" }
    for key, value in pairs(more) do args[key] = value end
    args.rng = fv.rng(opt.seed + i):stream "projection"
    if type(make) == "string" then return fv.sample(make, args) end
    return make(args)
  end
  --- All draws of the check in one tensor (draws, rows, d), f64.
  function s.all()
    if not s.cache then
      local list = {}
      for i = 1, opt.draws do list[i] = s:sample(i):to "f64" end
      s.cache = fv.stack(list, 1)
    end
    return s.cache
  end
  function s.draw() return {} end
  function s.call(_, _, o) return { s:sample(1, o) } end
end
