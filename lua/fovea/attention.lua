--- fv.attention(name, options): attention operators, exact, approximate and controls.
---
--- attend = fv.attention("nystrom", {landmarks=64})
--- o, info = attend(q (..., n, d), k (..., m, d), v (..., m, e), {causal=, key_length=, ...})
---
--- Leading dimensions are batch and heads; k and v may have fewer heads than q if they divide
--- them. key_length counts the valid keys, one number for each entry of the first dimension
--- or one for all. A method without a causal form raises on causal=true. info.path says what
--- ran ("exact", "approximate" or "control"), info.flops what it cost; the linear methods add
--- info.form ("token": sums along the sequence in its order; "sum": all keys first) and
--- info.chunk, the tokens taken at once. op:cost{n=, ..., heads=} tells the same beforehand.
---
--- A sequence may come in pieces, where the caps say streaming:
---   o, info, state = attend(q, k, v, {causal=true, state={}})          the first
---   o, info, state = attend(q, k, v, {causal=true, state=state})       what comes next
--- give what one call on the whole gives. The state is the keys and values seen, in room that
--- doubles when it is full, or sums whose size does not grow: attend:state{n=,d=,e=} counts its
--- numbers for a head after n tokens. A state may be gone on from more than once.
---
--- attend:redraw(i, seed?) and attend:at(step) give it with other random features, as of fv.map;
--- attend:random(d) says whether any are drawn for inputs of width d.
---
--- Methods with random features take {errors=true}: from the one draw, at about the cost of
--- another call in f64 (causal: O(n M e) memory traffic), info has
---   se (..., n, e)      standard error of every output, over draws
---   ess (..., n)        effective number of draws behind a row; the errors hold from 25 on
---   den_min             least normaliser over the sum of the sizes of its terms: 1 for positive
---                       features, near 0 or below it where a row means nothing
---   negative_rows       share of normalisers <= 0
---   eps_share           share of features within 10 eps, for maps that add one
---   error_unit, draw    what was taken as independent ("block", "projection"); which draw it was
---   warn                what is wrong with this, as text, or nil
--- and {skill=true}: info.skill, 1 - MSE / MSE of averaging against exact attention, which is
--- computed for it, and info.skill_rows (..., n).
---
--- A script adds its own; layers take it by name, or as fv.attention(name). build may return
--- state(self, sizes) and cost(self, sizes) too:
---   fv.attention.register { name = "doubled", doc = "Softmax of doubled scores.", caps = "causal",
---     call = { { "causal", "boolean", false, "hide the keys after each query" } },
---     build = function(opt) return { attend = function(q, k, v, call)
---       return (fv.softmax_attention(q * 2, k, v, call)), { path = "exact" }
---     end } end }

local fv = require "fovea"
local cache = require "fovea.cache"
local draws = require "fovea.draws"
local options = require "fovea.options"

local function text(x) return "(" .. table.concat({ x:shape() }, ",") .. ")" end

--- Shapes and dtypes that every method needs; level as error takes it.
local function check(name, q, k, v, level)
  local function bad(i, arg, want, got)
    error(("bad argument #%d to '%s' (%s: expected %s, got %s)"):format(i, name, arg, want, got), level + 1)
  end
  for i, x in ipairs { q or false, k or false, v or false } do
    local arg = ("qkv"):sub(i, i)
    if options.type(x) ~= "tensor" then
      bad(i, arg, "a tensor", x and options.type(x) or "no value")
    elseif x:ndim() < 2 then
      bad(i, arg, "(..., n, d)", text(x))
    elseif x:dtype() ~= "f32" and x:dtype() ~= "f64" then
      bad(i, arg, "f32 or f64", x:dtype())
    elseif x:dtype() ~= q:dtype() then
      bad(i, arg, q:dtype() .. " like q", x:dtype() .. "; convert with :to")
    end
  end
  local d, m = q:size(-1), k:size(-2)
  if k:size(-1) ~= d then bad(2, "k", ("(m,d=%d)"):format(d), text(k)) end
  if v:size(-2) ~= m then bad(3, "v", ("(m=%d,e)"):format(m), text(v)) end
end

--- What goes on from a state: where a method has a state of its own, its attend takes that as a
--- fifth argument, {} at first, and returns the next as a fourth result; else it is given all keys
--- and values.
local function streamed(entry, own, attend)
  return function(q, k, v, c, state)
    for _, name in ipairs { "key_length", "errors", "skill" } do
      if c[name] then error(("%s: option '%s' does not go with 'state'"):format(entry.name, name), 3) end
    end
    if not c.causal then error(entry.name .. ": option 'state': needs causal=true", 3) end
    if next(state) ~= nil and state.of ~= entry.name then
      error(("%s: option 'state': expected {} or the third result of a call of %s"):format(entry.name,
            entry.name), 3)
    end
    if q:size(-2) ~= k:size(-2) then
      error(("%s: option 'state': expected as many queries as keys, got %d and %d"):format(entry.name,
            q:size(-2), k:size(-2)), 3)
    end
    local o, info, bill, kept
    if own then
      o, info, bill, kept = attend(q, k, v, c, state)
    else
      kept = cache.append(state, k, v, entry.name)
      o, info, bill = attend(q, kept.k, kept.v, c)
    end
    kept.of = entry.name
    return o, info, bill, kept
  end
end

--- Whether a draw matters for inputs of width d.
local function random(self, d)
  local pick = draws.can(self) and rawget(self, "map")
  return pick and pick(d).W ~= false or draws.can(self) and not pick
end

local attention

--- What every attention object gets: checks, options of a call, the bill.
local function finish(object, entry)
  local attend, billed = object.attend, object.cost
  if attend == nil then
    error(("attention '%s': expected its build to return { attend = function(q, k, v, call) }"):format(
          entry.name), 0)
  end
  local piece = entry.caps.streaming and streamed(entry, object.state, attend)
  if piece and not entry.call.by.state then
    error(("attention '%s': caps say streaming: expected the option 'state' in call"):format(entry.name), 0)
  end
  object.redraw, object.at, object.random = draws.redraw(attention.make), draws.at, object.random or random
  object.state = object.state or function(_, s) return s.n * (s.d + s.e) end
  object.call = function(_, q, k, v, given, more)
    check(entry.name, q, k, v, 2)
    if more ~= nil then error(entry.name .. ": expected q, k, v and options, got more", 2) end
    local c = options.read(entry.call, given, entry.name, 3)
    if c.causal and entry.acausal then
      error(("%s: option 'causal': no causal form: %s"):format(entry.name, entry.acausal), 2)
    end
    local errors, skill = c.errors, c.skill
    local state = piece and c.state
    local o, info, bill, kept
    if state then
      c.state = nil
      o, info, bill, kept = piece(q, k, v, c, state)
    else
      c.errors, c.skill = nil, nil              -- told from the outside; no operator's options
      o, info, bill = attend(q, k, v, c)
    end
    local n, m, e = q:size(-2), (kept and kept.k or k):size(-2), v:size(-1)
    if options.type(o) ~= "tensor" or o:size(-2) ~= n or o:size(-1) ~= e then
      error(("attention '%s': expected its attend to return o (..., n=%d, e=%d), got %s"):format(entry.name, n, e,
            options.type(o) == "tensor" and text(o) or options.type(o)), 2)
    end
    info = type(info) == "table" and info or {}          -- an operator as attend returns what it saves
    info.method = entry.name
    if not bill and billed then
      bill = object:cost { n = n, m = m, d = q:size(-1), e = e, causal = c.causal }
    end
    if bill then info.flops = n * e == 0 and 0 or o:numel() // (n * e) * bill.flops end
    if errors or skill then
      fv.no_grad(function()
        local bars = require "fovea.error_bars"
        if errors then bars.fill(entry.name, info, object.map(q:size(-1)), q, k, v, c) end
        if skill then bars.skill(info, o, q, k, v, c) end
      end)
    end
    return o, info, kept
  end
end

attention = require "fovea.registry".new {
  kind = "attention", folder = "fovea.attention", finish = finish,
  extra = { call = "options", acausal = "string" }
}
return attention
