--- An operator of fv.ops as a subject, or a function with a signature ('sig').

local specimen = require "fovea.specimen"

--- Inputs from "q(n,d) k?(m,d) -> ...", as operators list them.
local function parse(sig)
  local list = {}
  for name, optional, dims in sig:gsub("%->.*", ""):gmatch "([%w_]+)(%??)%(([%w,]*)%)" do
    dims = dims:gsub(",", "")
    list[#list + 1] = { name = name, dims = dims, least = #dims, optional = optional == "?" }
  end
  return list
end

return function(s)
  local op, opt = s.thing, s.opt
  local own = type(op) ~= "userdata"
  if own then
    if not opt.sig then error('check: an operator that is a function needs sig="x(n,d) -> y(n,d)"', 0) end
    op = setmetatable({ inputs = parse(opt.sig), options = {} }, { __call = function(_, ...)
      local args = { ... }
      args[#args] = nil              -- the table of named options, which a function has not
      return s.thing(table.unpack(args))
    end })
    if #op.inputs == 0 then
      error("check: option 'sig': expected inputs such as x(n,d), got " .. opt.sig, 0)
    end
  end
  s.name = own and opt.name or s.thing.name or "function"
  if not own then
    for word, on in pairs(op.caps) do s.caps[word] = on end
    if not op.differentiable then s.fixed = "not differentiable" end
  end
  if s.caps.surrogate then s.fixed = "its gradient is another function's, by design" end
  s.inputs = op.inputs
  local first = op.inputs[1] and op.inputs[1].dims:sub(1, 1)
  function s.tokens(_, i)
    local a = op.inputs[i]
    local d = a.dims:sub(1, 1)
    if (d == first or d == "m") and a.least == #a.dims and #a.dims > 0 then return -#a.dims end
  end
  function s.draw(_, o)
    local sizes = setmetatable({ n = o.n, m = o.n }, { __index = specimen.tied })
    local v = o.variant or {}
    local batch, seed = o.batch == false and {} or { 2 }, opt.seed + 10 + #(o.purpose or "")
    local x = specimen.draws(op, batch, sizes, "f64", seed, v[3], v[4])
    for i, y in ipairs(x) do
      if y and y:dtype() == "f64" then
        if o.scale and op.inputs[i].name ~= "g" and op.inputs[i].name ~= "beta" then y = y * o.scale end
        x[i] = y:to(o.dtype or "f64")
      end
    end
    return x
  end
  function s.call(_, x, o) return specimen.call(op, x, o) end
  s.variants = {}
  for _, v in ipairs(own and { { "", {} } } or specimen.settings(op)) do
    -- an operator may refuse a combination; its defaults must work
    if v[1] == "" or v[1] == "defaults" or pcall(s.call, s, s:draw { variant = v }, v[2]) then
      s.variants[#s.variants + 1] = v
    end
  end
  for _, o in ipairs(op.options) do if o.name == "causal" then s.switch = true end end
  local plain = not own and require "fovea.oracle.operators"[op.name]
  if opt.reference then
    function s.reference(_, x) return { opt.reference(table.unpack(x)) } end
  elseif plain then
    function s.reference(_, x, o)
      local by = {}
      for i, a in ipairs(op.inputs) do by[a.name] = x[i] or nil end
      local all = {}
      for _, d in ipairs(op.options) do all[d.name] = d.default end
      for name, value in pairs(o or {}) do all[name] = value end
      return { plain(by, all) }
    end
  end
end
