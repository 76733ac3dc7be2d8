--- Many draws of a map at once, the same draws for every map that takes them.
---
--- Draw i of a sampler is one matrix of the most rows any map needs; a map with fewer takes
--- the first ones. Maps with a projection see a batch of draws as W (B, ..., m, d); other
--- random maps are made anew for each draw.

local fv = require "fovea"
local laws = require "fovea.laws"
local options = require "fovea.options"

local draws = {}

local function sampler(given)
  local opt = {}
  for key, value in pairs(type(given) == "table" and given or { given }) do opt[key] = value end
  return table.remove(opt, 1), opt
end

--- Name of a sampler as rows show it.
function draws.label(given)
  local name, opt = sampler(given)
  local words = { name }
  for key, value in pairs(opt) do words[#words + 1] = key .. "=" .. tostring(value) end
  table.sort(words, function(a, b) return a == name or (b ~= name and a < b) end)
  return table.concat(words, " ")
end

--- Draws first .. first + count - 1 of a sampler: (count, rows, d).
local function batch(given, rows, d, seed, first, count, dtype)
  local name, opt = sampler(given)
  opt.dim, opt.dtype = d, dtype
  if laws.blocked(name) then           -- blocks are independent: one long matrix is cut
    local whole = -(-rows // d) * d
    opt.rows, opt.rng = count * whole, fv.rng(seed):stream(("variance:%d"):format(first))
    return fv.sample(name, opt):reshape(count, whole, d):slice(2, 1, rows)
  end
  local list = {}
  opt.rows = rows
  for i = 1, count do
    opt.rng = fv.rng(seed):stream(("variance:%d"):format(first + i - 1))
    list[i] = fv.sample(name, opt)
  end
  return fv.stack(list, 1)
end

--- The map made once, to ask it what it is: fitted to q and k where it needs data.
--- method: { name, option = ... }.
function draws.make(method, given, features, d, seed, q, k)
  local opt = {}
  for key, value in pairs(method) do if key ~= 1 then opt[key] = value end end
  local entry = fv.map.entry(method[1])
  if entry.options.by.sampler then opt.sampler = opt.sampler or given end
  if entry.options.by.dim then opt.dim = d end
  if entry.options.by.features then opt.features = features end
  if entry.options.by.seed then opt.seed = seed end
  return fv.map(method[1], opt):fit(q, k)
end

--- The map with W for its projection, other options as they are.
local function with(phi, W, draw)
  local opt = {}
  for name, value in pairs(phi.options) do opt[name] = value end
  opt.features, opt.redraw, opt.draw, opt.projection = nil, nil, draw, W
  return fv.map(phi.name, opt)
end

--- Whether W is all that is random in a map and a batch of them can be given to it: tried.
local function projected(phi)
  if not (phi.W and phi.spec.by.projection and phi.spec.by.sampler) then return false end
  local two = fv.rng(1):stream "variance:probe":normal(2, phi.W:size(-2), phi.dim, { dtype = "f64" })
  local x = fv.linspace(-1, 1, phi.dim, { dtype = "f64" }):unsqueeze(1)
  local good, same = pcall(function()
    local all = with(phi, two / phi.dim)(x, "k")
    local function equal(i, draw)
      return (with(phi, two[i] / phi.dim, draw)(x, "k") - all[i]):abs():max():item() == 0
    end
    return equal(1, 1) and equal(2, 2)
  end)
  return good and same
end

--- Calls f(phi, count) with maps that hold the draws first .. first + count - 1: one map
--- where they go in as a projection W (count, 1, ..., m, d) with 'lead' ones, else one map a
--- draw. rows: most rows of any map; cache: a table where maps find the draws of the batch.
function draws.each(phi, rows, first, count, seed, dtype, lead, cache, f)
  if cache[phi] == nil then cache[phi] = projected(phi) end
  if not cache[phi] then
    for i = first, first + count - 1 do f(phi:redraw(i), 1) end
    return
  end
  local key = draws.label(phi.options.sampler)
  cache[key] = cache[key] or batch(phi.options.sampler, rows, phi.dim, seed, first, count, dtype)
  local shape = { count }
  for i = 1, lead do shape[1 + i] = 1 end
  shape[#shape + 1], shape[#shape + 2] = phi.W:size(-2), phi.dim
  f(with(phi, cache[key]:slice(2, 1, phi.W:size(-2)):reshape(shape)), count)
end

--- A list of methods from what the user gave: names, or { name, option = ... }.
function draws.methods(given)
  if type(given) == "table" and rawget(given, "kind") == "map" then
    error("variance: option 'map': expected names or {name, option = ...}: draws are made here, got a map", 0)
  end
  for key in pairs(type(given) == "table" and given or { name = true }) do
    if type(key) == "string" then given = { given }; break end
  end
  local list = {}
  for i, m in ipairs(given) do
    list[i] = type(m) == "string" and { m } or m
    if type(list[i]) ~= "table" or type(list[i][1]) ~= "string" then
      error(("variance: option 'map': expected names or {name, option = ...}, got %s at %d")
        :format(options.type(m), i), 0)
    end
    fv.map.entry(list[i][1])           -- raises for a name nobody has
  end
  if #list == 0 then error("variance: option 'map': expected at least one map", 0) end
  return list
end

--- A number, or a list of them, as a list.
function draws.numbers(name, v, lo, hi, whole)
  local list = type(v) == "table" and v or { v }
  if #list == 0 then error(("variance: option '%s': expected at least one number"):format(name), 0) end
  for i, x in ipairs(list) do
    if type(x) ~= "number" or x ~= x or x < lo or x > hi or (whole and x ~= math.floor(x)) then
      error(("variance: option '%s': expected %snumbers in [%g, %g], got %s"):format(name,
        whole and "whole " or "",
            lo, hi, tostring(x)), 0)
    end
    if whole then list[i] = math.tointeger(x) end
  end
  return list
end

return draws
