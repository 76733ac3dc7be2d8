-- Draws of random features. One is named by a seed and a number: draw i of a seed is the
-- stream "projection" for i = 0 and "projection:i" else. A thing that has the options seed and
-- draw can be had with another (redraw); a policy, "fixed", "per_call" or a number k, says which
-- draw belongs to a step (at).

local core = require "fovea.core"
local options = require "fovea.options"

local draws = {}

--- The stream of a draw for a purpose.
function draws.stream(opt, purpose)
  return core.rng(opt.seed):stream(opt.draw == 0 and purpose or purpose .. ":" .. opt.draw)
end

--- Where the draw of 'thing' is: itself, or the map that it was given.
local function source(thing)
  local inner = rawget(thing.options, "map")
  return options.type(inner) == "map" and inner or thing
end

--- Whether a draw can matter: its options say so, and no projection is given.
function draws.can(thing)
  local at = source(thing)
  return at.spec.by.seed ~= nil and at.spec.by.draw ~= nil and at.options.projection == nil
end

--- Seed, draw and policy of what draws.
function draws.of(thing)
  local at = source(thing)
  return at.options.seed, at.options.draw, at.spec.by.redraw and at.options.redraw or "fixed"
end

--- The draw of a step, or nil where it is fixed.
function draws.index(policy, step)
  if policy == "fixed" then return nil end
  return policy == "per_call" and step or step // policy
end

--- The method redraw(i, seed?) of things that make(name, options, level) makes.
function draws.redraw(make)
  return function(self, i, seed, ...)
    local function bad(what, got) error(("%s: redraw: expected %s, got %s"):format(self.name, what, got), 3) end
    if math.type(i) ~= "integer" or i < 0 then bad("the number of a draw, 0 or more", tostring(i)) end
    if seed ~= nil and math.type(seed) ~= "integer" then bad("seed: a whole number", options.type(seed)) end
    if select("#", ...) > 0 then bad("i and seed", "more") end
    local inner, changes = source(self), { draw = i, seed = seed or self.options.seed }
    if inner ~= self then
      changes = { map = inner:redraw(i, seed) }
      if changes.map == inner then return self end
    elseif not self.spec.by.draw or rawget(self, "W") == false
           or self.options.draw == i and self.options.seed == changes.seed then
      return self
    elseif self.options.projection then
      error(self.name .. ": redraw: the option 'projection' fixes W; use seed instead", 2)
    end
    local opt = {}
    for name, value in pairs(self.options) do opt[name] = value end
    for name, value in pairs(changes) do opt[name] = value end
    return make(self.name, opt, 3)
  end
end

--- The method at(step).
function draws.at(self, step)
  if math.type(step) ~= "integer" or step < 0 then
    error(("%s: at: expected a step, 0 or more, got %s"):format(self.name, tostring(step)), 2)
  end
  local _, _, policy = draws.of(self)
  local i = draws.index(policy, step)
  return i and self:redraw(i) or self
end

-- ---- in layers ----

--- A seed for what is drawn in the layer of that path; without a path, the seed itself.
local function keyed(seed, path)
  return path == "" and seed or core.rng(seed):stream("features:" .. path):integers(1, 1 << 53)
end

--- Gives layer l's attention, mixer, features of its own where the layer made it: 'own' is their
--- seed, or nil. 'policy' is the layer's option redraw, d the width of a head.
function draws.install(l, mixer, own, policy, d)
  l.lost = false
  local at = source(mixer)
  if not mixer:random(d) then
    local why = at.options.projection and "the option 'projection' of '%s' fixes its features"
                or at.spec.by.seed and not at.spec.by.draw and "'%s' has a seed, but no option 'draw'"
    if policy and why then error(("attention: option 'redraw': " .. why):format(at.name), 0) end
    return
  end
  local _, first, its = draws.of(mixer)
  if own and at == mixer then l.mixer = mixer:redraw(first, keyed(own, l.path)) end
  policy = policy or its
  l.drawn = true
  if policy == "fixed" then return end
  function l.on_step(self, step)
    if step then self.mixer = self.mixer:redraw(draws.index(policy, step)) end
    self.lost = not step
  end
end

--- Raises where layer l, in training, was not told the step that its features belong to.
function draws.check(l)
  if l.lost and l.training then
    error(("attention '%s': option 'redraw': training needs the step: call layer:train(step)"):format(l.path), 0)
  end
end

--- f(layer) for each that draws, of l and the layers inside.
local function visit(l, f)
  if rawget(l, "drawn") then f(l) end
  for _, child in ipairs(l.inside) do visit(child, f) end
end

--- { { path =, seed =, draw = }, ... } of l and the layers inside.
function draws.list(l)
  local list = {}
  visit(l, function(m)
    local seed, draw = draws.of(m.mixer)
    list[#list + 1] = { path = m.path, seed = seed, draw = draw }
  end)
  return list
end

--- The same as text for a file's metadata; nil where nothing is drawn, or l is no layer.
function draws.text(l)
  if options.type(l) ~= "nn" then return nil end
  local lines = {}
  for i, x in ipairs(draws.list(l)) do lines[i] = ("%d %d %s"):format(x.seed, x.draw, x.path) end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

--- Gives l and the layers inside the draws that such a text has for them.
function draws.take(l, text)
  if options.type(l) ~= "nn" then return end
  local at = {}
  for seed, draw, path in text:gmatch "(%-?%d+) (%d+) ([^\n]*)" do
    at[path] = { math.tointeger(draw), math.tointeger(seed) }
  end
  visit(l, function(m)
    local x = at[m.path]
    if x then m.mixer = m.mixer:redraw(x[1], x[2]) end
  end)
end

return draws
