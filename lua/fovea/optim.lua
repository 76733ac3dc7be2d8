--- fv.optim(name, parameters, {lr=, ...}) -> optimiser: changes parameters by their gradients.
--- parameters is layer:parameters(), a list of { name =, tensor = }. The optimiser has
---   opt:step()      one step for every parameter that has a gradient; opt.lr is the rate, to
---                   be set between steps (fv.schedule)
---   opt:zero()      forgets the gradients
---   opt:state()     { step = count, ["name.slot"] = tensor, ... }, copies: save it, and
---   opt:load(state) goes on bit for bit; one error lists all that does not fit
--- fv.optim.clip(parameters, max) scales all gradients so that their common norm is at most
--- max, and returns the norm before. Weight decay is decoupled and spares vectors (biases,
--- norms) unless decay_all.
--- Example: opt = fv.optim("adamw", model:parameters(), {lr=1e-3})
---          loss:backward(); fv.optim.clip(model:parameters(), 1); opt:step(); opt:zero()

local core = require "fovea.core"
local options = require "fovea.options"
local tape = require "fovea.tape"

local what = require "fovea.layer".what

--- Raises unless 'list' is a list of parameters with different names.
local function check(list, who, level)
  if type(list) ~= "table" or #list == 0 then
    error(("%s: parameters: expected a list { { name =, tensor = }, ... } like layer:parameters(), got %s")
          :format(who, options.type(list) == "table" and "an empty one" or options.type(list)), level + 1)
  end
  local seen = {}
  for i, p in ipairs(list) do
    if type(p) ~= "table" or type(p.name) ~= "string" or not tape.is_real(p.tensor) then
      error(("%s: parameters: entry %d: expected { name =, tensor = f32 or f64 }"):format(who, i), level + 1)
    elseif seen[p.name] then
      error(("%s: parameters: two are named '%s'"):format(who, p.name), level + 1)
    end
    seen[p.name] = true
  end
end

local methods = {}

function methods.step(self)
  self.count = self.count + 1
  tape.no_grad(function()
    for _, p in ipairs(self.parameters) do
      local x = p.tensor
      local g = x.grad
      if g then
        local slots = self.slots[p.name]
        if not slots then
          slots = {}
          self.slots[p.name] = slots
        end
        self:update(x, g, slots, p, self.count)
      end
    end
  end)
end

function methods.zero(self)
  for _, p in ipairs(self.parameters) do p.tensor.grad = nil end
end

function methods.state(self)
  local all = { step = self.count }
  for name, slots in pairs(self.slots) do
    for slot, x in pairs(slots) do all[name .. "." .. slot] = x:clone() end
  end
  return all
end

--- self.uses lists groups of slots; a parameter has all of a group or none.
function methods.load(self, state)
  local step = type(state) == "table" and state.step
  if options.type(step) == "tensor" and step:numel() == 1 then step = math.tointeger(step:item()) end
  if math.type(step) ~= "integer" then
    error(("%s: load: expected what opt:state() returned, with a whole number 'step'"):format(self.name), 2)
  end
  local faults, slots, known = {}, {}, { step = true }
  local function fault(...) faults[#faults + 1] = string.format(...) end
  for _, p in ipairs(self.parameters) do
    for _, group in ipairs(self.uses) do
      local any = false
      for _, slot in ipairs(group) do any = any or state[p.name .. "." .. slot] ~= nil end
      for _, slot in ipairs(any and group or {}) do
        local key = p.name .. "." .. slot
        local x = state[key]
        known[key] = true
        if x == nil then fault("missing '%s' %s", key, what(p.tensor))
        elseif what(x) ~= what(p.tensor) then fault("'%s': expected %s, got %s", key, what(p.tensor), what(x))
        else
          slots[p.name] = slots[p.name] or {}
          slots[p.name][slot] = x:clone()
        end
      end
    end
  end
  for key in pairs(state) do if not known[key] then fault("unknown entry '%s'", tostring(key)) end end
  table.sort(faults)
  if #faults > 0 then error(("%s: load:\n  %s"):format(self.name, table.concat(faults, "\n  ")), 2) end
  self.count, self.slots = step, slots
end

local optim = require "fovea.registry".new {
  kind = "optim", folder = "fovea.optim", usage = 'fv.optim("%s", parameters, %s)',
  common = { { "lr", "number", 1e-3, "step size", lo = 0 } }
}

--- |g| over all parameters; sums in their order, so it has the same bits at any thread count.
local function clip(parameters, most)
  check(parameters, "clip", 2)
  if type(most) ~= "number" or most <= 0 or most ~= most then
    error(("bad argument #2 to 'clip' (max: expected a number above 0, got %s)"):format(tostring(most)), 2)
  end
  return tape.no_grad(function()
    local norms = {}
    for _, p in ipairs(parameters) do
      if p.tensor.grad then norms[#norms + 1] = p.tensor.grad:norm():to "f64" end   -- squares add up in f64
    end
    if #norms == 0 then return 0.0 end
    local norm = core.stack(norms):norm():item()
    if norm > most then
      for _, p in ipairs(parameters) do
        if p.tensor.grad then p.tensor.grad:mul_(most / norm) end
      end
    end
    return norm
  end)
end

rawset(optim, "clip", clip)
getmetatable(optim).__call = function(_, name, parameters, given)
  check(parameters, "optim", 2)
  local self = optim.make(name, given, 3)
  for key, method in pairs(methods) do self[key] = method end
  self.parameters, self.slots, self.count, self.lr = parameters, {}, 0, self.options.lr
  return self
end

return optim
