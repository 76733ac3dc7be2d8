--- Standard errors of attention with random features, from one draw.
---
--- The output is a ratio of means over independent terms, one for each unit u of the draw:
--- with z_f = sum_j k_jf and S_f = sum_j k_jf v_j,
---   o = sum_u N_u / sum_u D_u,   N_u = sum_(f in u) q_f S_f,   D_u = sum_(f in u) q_f z_f
---   se^2 = U/(U-1) sum_u (N_u - o D_u)^2 / (sum_u D_u)^2     (delta method; Cochran 1977, ch. 6)
---   ESS = (sum_u D_u)^2 / sum_u D_u^2, over projections
--- A unit is a projection (its two features where they come in pairs) or, for samplers whose
--- rows depend on each other in blocks of d and where there are at least LEAST blocks, a block.
--- With fewer, projections are used: too large an error, since coupling makes it smaller.
--- All sums are in f64 on values less their mean, which changes nothing but rounding.

local fv = require "fovea"
local heads = require "fovea.heads"
local laws = require "fovea.laws"

local bars = {}

local LEAST = 4
local CHUNK = 2 ^ 20       -- numbers in a block of causal prefix sums

--- A mask (.., m, 1) of the keys that are not there.
local function padding(k, key_length, who)
  local m, list = k:size(-2), heads.lengths(key_length, k, who)
  local rows = {}
  for b, length in ipairs(list) do rows[b] = fv.arange(m):gt(length) end
  local mask = fv.stack(rows, 1)
  if k:ndim() == 2 then return mask:reshape(m, 1) end
  local shape = { #list }
  for i = 2, k:ndim() - 2 do shape[i] = 1 end
  shape[#shape + 1], shape[#shape + 2] = m, 1
  return mask:reshape(shape)
end

--- Features of q and k in f64, up to factors that the ratio does not see.
local function featured(phi, q, k, gone)
  if not rawget(phi, "log") then
    local fk = phi(k, "k")
    return phi(q, "q"), gone and fk:masked_fill(gone, 0) or fk
  end
  local lq, lk = phi:log(q, "q"), phi:log(k, "k")
  if gone then lk = lk:masked_fill(gone, -math.huge) end
  local c = lk:max(-2):unsqueeze(-2):maximum(-1e300)
  local a = lq + heads.match(c, lq)
  return (a - a:max(-1):unsqueeze(-1)):exp(), (lk - c):exp()
end

--- Splits the last dimension: (.., M) into (.., pairs, m).
local function split(x, pairs_)
  local shape = { x:shape() }
  shape[#shape], shape[#shape + 1] = pairs_, shape[#shape] // pairs_
  return x:reshape(shape)
end

--- sum over projections of (sum_h q_h g_h)^2 as products of matrices, where
--- g = S - z o: expanded over h, h' in the halves of a pair.
local function by_projection(fq, z, S, o, p)
  local m = fq:size(-1) // p
  local function half(x, dim, h) return x:slice(dim, (h - 1) * m + 1, h * m) end
  local total
  for h = 1, p do
    for g = h, p do
      local weight = h == g and 1 or 2
      local Q = half(fq, -1, h) * half(fq, -1, g)
      local zh, zg = half(z, -1, h):unsqueeze(-1), half(z, -1, g):unsqueeze(-1)
      local Sh, Sg = half(S, -2, h), half(S, -2, g)
      local t = Q:matmul(Sh * Sg) - Q:matmul(Sh * zg + Sg * zh) * o + Q:matmul(zh * zg) * o ^ 2
      total = total and total + t * weight or t * weight
    end
  end
  return total
end

--- The same over blocks of d projections.
local function by_block(fq, z, S, o, p, d)
  local m, total = fq:size(-1) // p, nil
  for first = 1, m, d do
    local last, t = math.min(first + d - 1, m), nil
    for h = 0, p - 1 do
      local q = fq:slice(-1, h * m + first, h * m + last)
      local part = q:matmul(S:slice(-2, h * m + first, h * m + last))
                   - q:matmul(z:slice(-1, h * m + first, h * m + last):unsqueeze(-1)) * o
      t = t and t + part or part
    end
    total = total and total + t ^ 2 or t ^ 2
  end
  return total
end

--- Sums over keys for all queries.
local function at_once(fq, fk, v, p, d)
  local z, S = fk:sum(-2), fk:transpose(-1, -2):matmul(v)
  local terms = fq * z:unsqueeze(-2)
  local den = terms:sum(-1):unsqueeze(-1)
  local o = fq:matmul(S) / den
  local squares = d and by_block(fq, z, S, o, p, d) or by_projection(fq, z, S, o, p)
  return terms, squares / den ^ 2
end

--- The same with sums up to key t + m - n for query t: O(n M e) numbers, some at a time.
local function causal(fq, fk, v, p, d)
  local n, m, M, e = fq:size(-2), fk:size(-2), fq:size(-1), v:size(-1)
  local before = m - n
  if before < 0 then                                    -- the first queries see nothing
    local shape = { fk:shape() }
    shape[#shape - 1] = -before
    fk = fv.cat({ fv.zeros(shape, { dtype = "f64" }), fk }, -2)
    shape[#shape] = e
    v = fv.cat({ fv.zeros(heads.shape(v, -before, e), { dtype = "f64" }), v }, -2)
    before = 0
  end
  local one = fv.ones(heads.shape(v, v:size(-2), 1), { dtype = "f64" })
  local va = fv.cat({ v, one }, -1)                     -- S and z together
  local state = before > 0 and fk:slice(-2, 1, before):transpose(-1, -2):matmul(va:slice(-2, 1,
    before)) or nil
  local step = math.max(1, CHUNK // (M * (e + 1)))
  local terms, squares = {}, {}
  for first = 1, n, step do
    local last = math.min(first + step - 1, n)
    local K, V = fk:slice(-2, before + first, before + last), va:slice(-2, before + first, before + last)
    local T = (K:unsqueeze(-1) * V:unsqueeze(-2)):cumsum(-3)         -- (.., C, M, e+1)
    if state then T = T + state:unsqueeze(-3) end
    state = T:slice(-3, -1, -1):squeeze(-3)
    local Q = fq:slice(-2, first, last)
    T = T * Q:unsqueeze(-1)
    local S, z = T:slice(-1, 1, e), T:slice(-1, e + 1, e + 1)
    local den = z:sum(-2)
    local t = S - z * (S:sum(-2) / den):unsqueeze(-2)
    local shape = { t:shape() }
    shape[#shape - 1], shape[#shape], shape[#shape + 1] = p, M // p, e
    t = t:reshape(shape):sum(-3)                                     -- (.., C, m, e)
    local sum
    for a = 1, M // p, d or M // p do
      local b = math.min(a + (d or M) - 1, M // p)
      local u = t:slice(-2, a, b)
      u = d and u:sum(-2) ^ 2 or (u ^ 2):sum(-2)
      sum = sum and sum + u or u
    end
    terms[#terms + 1], squares[#squares + 1] = z:squeeze(-1), sum / den ^ 2
  end
  return fv.cat(terms, -2), fv.cat(squares, -2)
end

--- The pair whose norms and product are the means over q and k, scaled; its relative
--- standard deviation by fv.theory, if there is a closed form.
local function predicted(phi, q, k)
  local s = phi.spec.by.scale and phi.options.scale or 1
  local x, y = q * s, k * s
  local d = x:size(-1)
  x, y = x:reshape(-1, d), y:reshape(-1, d)
  local xx, yy = (x ^ 2):sum(-1):mean():item(), (y ^ 2):sum(-1):mean():item()
  local t = fv.theory.match(phi, { xx = xx, yy = yy, xy = x:mean(1):dot(y:mean(1)):item() })
  return t and t.relative_sd
end

local function median(x)
  local flat = x:reshape(-1)
  return flat:sort():get(flat:numel() // 2 + 1)
end

local function warnings(phi, info, q, k)
  local words, m = {}, phi.W:size(-2)
  local ess = median(info.ess)
  if ess ~= ess or ess < 15 then
    words[#words + 1] = ("the median effective sample size is %.1f of %d draws: below 15 the standard errors "
      .. "are too small, by 2 and more"):format(ess, m)
  end
  local sd = predicted(phi, q, k)
  if sd and sd > 1 then
    words[#words + 1] = ("at the mean norms a weight has a relative standard deviation of %.3g with %d "
      .. "features; %.1g features would make it 1: shorten q and k or take another map (fv.plan)")
      :format(sd, phi.features, phi.features * sd ^ 2)
  end
  if info.negative_rows > 0 then
    words[#words + 1] = ("%.2g %% of the normalisers are not positive: those rows mean nothing")
      :format(100 * info.negative_rows)
  elseif info.den_min < 0.1 then
    words[#words + 1] = ("a normaliser is %.2g of the size of its terms: that row's error can be far larger")
      :format(info.den_min)
  end
  return #words > 0 and table.concat(words, "; ") or nil
end

--- Fills info with se (.., n, e), ess (.., n), den_min, negative_rows, eps_share, draw,
--- error_unit and warn for a call of 'who' with the map phi and options c.
function bars.fill(who, info, phi, q, k, v, c)
  if type(phi) ~= "table" or rawget(phi, "kind") ~= "map" or not phi.W then
    error(("%s: option 'errors': expected a map with random projections, got %s"):format(who,
      type(phi) == "table" and rawget(phi,
        "kind") == "map" and ("'%s', where nothing is drawn"):format(phi.name)
      or "a function"), 0)
  end
  if k:size(-2) == 0 then error(who .. ": option 'errors': there are no keys", 0) end
  local rows = phi.W:size(-2)
  local p = phi.features // rows
  if p > 2 or phi.features % rows ~= 0 then
    error(("%s: option 'errors': the features of map '%s' are not one or two for each projection")
      :format(who, phi.name), 0)
  end
  local dtype = q:dtype()
  q, k, v = q:to "f64", k:to "f64", v:to "f64"
  local gone = c.key_length and padding(k, c.key_length, who)
  if gone then k, v = k:masked_fill(gone, 0), v:masked_fill(gone, 0) end
  local fq, fk = featured(phi, q, k, gone)
  local eps = phi.spec.by.eps and phi.options.eps or 0
  if eps > 0 then
    local low = fq:le(10 * eps):to("f64"):sum():item() + fk:le(10 * eps):to("f64"):sum():item()
    info.eps_share = low / (fq:numel() + fk:numel())
  end
  fk, v = heads.match(fk, q), heads.match(v, q)
  v = v - v:mean(-2):unsqueeze(-2)
  local sampler = phi.options.sampler
  sampler = type(sampler) == "table" and sampler[1] or sampler
  local law = not phi.options.projection and laws.blocked(sampler) and laws.find(sampler, phi.dim)
  local coupled = law and law.pairs ~= "independent"
  local blocks = coupled and rows // phi.dim >= LEAST and phi.dim or nil
  local terms, squares = (c.causal and causal or at_once)(fq, fk, v, p, blocks)
  local units = blocks and -(-rows // phi.dim) or rows
  local draws = p > 1 and split(terms, p):sum(-2) or terms
  local den = terms:sum(-1)
  local none = terms:eq(0):all(-1)                       -- queries that see no key
  local relative = (den / terms:abs():sum(-1)):masked_fill(none, 1)
  info.se = (squares:maximum(0) * (units / math.max(units - 1, 1))):sqrt()
    :masked_fill(none:unsqueeze(-1), 0):to(dtype)
  info.ess = (den ^ 2 / (draws ^ 2):sum(-1)):masked_fill(none, 0)
  info.den_min = relative:min():item()
  info.negative_rows = relative:le(0):to("f64"):mean():item()
  info.error_unit = blocks and "block" or "projection"
  info.draw = phi.options.projection and "the given projection"
    or ("seed %d, draw %d, %s"):format(phi.options.seed, phi.options.draw, sampler)
  info.warn = warnings(phi, info, q, k)
end

--- 1 - (error / error of averaging)^2 against exact attention: over everything, and by row.
function bars.skill(info, o, q, k, v, c)
  local opt = { causal = c.causal, key_length = c.key_length }
  local exact = fv.softmax_attention(q, k, v, opt):to "f64"
  local mine = ((o:to "f64" - exact) ^ 2):sum(-1)
  local average = ((fv.attention("uniform")(q, k, v, opt):to "f64" - exact) ^ 2):sum(-1)
  info.skill = 1 - mine:sum():item() / average:sum():item()
  info.skill_rows = 1 - mine / average
end

return bars
