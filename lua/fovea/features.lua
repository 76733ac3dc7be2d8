--- Attention on features: what the linear methods share.

local fv = require "fovea"

local features = {}

--- Options of a call.
features.call = {
  { "causal", "boolean", false, "hide the keys after each query" },
  { "key_length", "integer|tensor", nil, "number of valid keys" },
  require "fovea.cache".option
}

--- With what is known about the error of a random draw; the object then has map(d).
features.random_call = table.move({
  { "errors", "boolean", false, "fill info.se, ess, den_min, negative_rows, warn: see fv.attention" },
  { "skill", "boolean", false, "fill info.skill against exact attention, computed for it" }
}, 1, 2, #features.call + 1, table.move(features.call, 1, #features.call, 1, {}))

--- A function of d that gives the map called 'name' for inputs of that width; 'opt'
--- holds its options among others.
function features.maker(name, opt)
  local entry, made, rest = fv.map.entry(name), {}, {}
  for _, o in ipairs(entry.options) do rest[o.name] = opt[o.name] end
  return function(d)
    if not made[d] then
      if entry.options.by.dim and not opt.projection then rest.dim = opt.dim or d end
      made[d] = fv.map(name, rest)
    end
    return made[d]
  end
end

--- Cost of phi(q), phi(k) and of linear attention on M features, as operators give it.
function features.cost(phi, M, s)
  local total = fv.ops.linear_attention:cost { n = s.n, m = s.m, f = M, e = s.e }
  if type(phi) == "table" and phi.kind == "map" then
    for _, n in ipairs { s.n, s.m } do
      for what, count in pairs(phi:cost { n = n, d = s.d }) do total[what] = total[what] + count end
    end
  end
  return total
end

--- Numbers kept to go on after any number of tokens: sum of phi(k) v' and of phi(k).
function features.state(M, e) return M * (e + 1) end

--- phi for the tokens after past.n others; raises where it needs more than those.
function features.after(phi, past, who)
  if not past or type(phi) ~= "table" or phi.kind ~= "map" then return phi end
  if phi.caps.global then
    error(("%s: option 'state': the map '%s' looks over the whole sequence"):format(who, phi.name), 0)
  end
  if not phi.spec.by.offset or not past.n then return phi end
  local opt = {}
  for name, value in pairs(phi.options) do opt[name] = value end
  opt.offset = opt.offset + past.n
  return fv.map(phi.name, opt)
end

--- What an operator kept of a piece, 'sums' by name, where 'past' was kept before it (nil:
--- no piece). Heads of q that share one of k have the same sums: one of them stays.
function features.keep(past, q, k, sums)
  if not past then return nil end
  local H, h = q:ndim() > 2 and q:size(-3) or 1, k:ndim() > 2 and k:size(-3) or 1
  for name, x in pairs(sums) do
    if h < H and k:ndim() == q:ndim() then sums[name] = x:slice(q:ndim() - 2, 1, H, H // h):contiguous() end
  end
  sums.n = (past.n or 0) + q:size(-2)
  return sums
end

--- { form =, chunk = }: how operator 'name' runs at these sizes for heads like those of q.
function features.form(name, q, causal, sizes)
  sizes.causal, sizes.heads = causal, q:ndim() > 2 and math.max(1, q:size(-3)) or 1
  local plan = fv.ops[name]:cost(sizes)
  return { form = plan.form, chunk = plan.chunk }
end

--- The sizes of one problem.
function features.sizes(q, k, v)
  return { n = q:size(-2), m = k:size(-2), d = q:size(-1), e = v:size(-1) }
end

return features
