-- Facts every operator must satisfy, checked from its descriptor alone.
-- A new operator is covered here the moment its file exists.  An operator may
-- refuse a combination of settings with an error; it is then left out, but the
-- defaults must work.

local fv = require "fovea"
local tap = require "tap"
local specimen = require "fovea.specimen"

local only = arg and arg[1]   -- build/fovea tests/ops.t NAME tests one

local size_of, draw, draws = specimen.size, specimen.draw, specimen.draws
local call, same, settings, tied = specimen.call, specimen.same, specimen.settings, specimen.tied

local function all_same(y, z)
  for i = 1, #y do if not same(y[i], z[i]) then return false end end
  return #y == #z
end

--- Largest gap between <seed, vjp> and central differences over a few
--- coordinates of each real input; h = 1e-5 in f64 leaves about 1e-9.
local function gradient_gap(op, x, opt)
  local y = call(op, x, opt)
  local seeds, worst, where = {}, 0, ""
  for j = 1, #y do
    seeds[j] = fv.rng(90 + j):stream("seed"):uniform({ y[j]:shape() }, { dtype = "f64" }) - 0.5
    -- where an output is not finite (an empty row's lse) no gradient flows
    seeds[j] = seeds[j] * y[j]:isfinite():to "f64"
  end
  local function value()
    local z, sum = call(op, x, opt), 0
    for j = 1, #z do
      local fin = z[j]:isfinite()
      sum = sum + (fv.where(fin, z[j], fv.zeros(1, { dtype = "f64" })) * seeds[j]):sum():item()
    end
    return sum
  end
  local g = op:vjp(x, y, seeds, opt)
  for i, a in ipairs(op.inputs) do
    if x[i] and a.dtype == nil then
      local flat, gf = x[i]:reshape(-1), g[i]:reshape(-1)
      local n = flat:numel()
      for k = 1, n, math.max(1, n // 5) do
        local at = flat:get(k)
        local h = 1e-5
        if a.name == "g" and at + h > 0 then h = -h end
        flat:set(k, at + h)
        local up = value()
        flat:set(k, at - h)
        local down = value()
        flat:set(k, at)
        local want = (up - down) / (2 * h)
        local gap = math.abs(gf:get(k) - want) / math.max(1, math.abs(want))
        if gap > worst or gap ~= gap then worst, where = gap, a.name .. "[" .. k .. "]" end
        if gap ~= gap then return math.huge, where end
      end
    end
  end
  return worst, where
end

local names = {}
for name, op in pairs(fv.ops) do
  if op.kind ~= "sampler" and (not only or name == only) then names[#names + 1] = name end
end
table.sort(names)

local isa_now = fv.info().isa
local ISAS = { base = { "base" }, v3 = { "base", "v3" }, v4 = { "base", "v3", "v4" } }

for _, name in ipairs(names) do
  local op = fv.ops[name]
  tap.ok(#op.doc > 20 and #op.ref > 5, name .. ": has doc and reference")
  local worst_line, ran = "", 0
  for _, s in ipairs(settings(op)) do
    local label, opt, with, full = table.unpack(s, 1, 4)
    for _, sizes in ipairs { tied, {} } do
      local x = draws(op, { 2 }, sizes, "f64", 11, with, full)
      local good, y = pcall(call, op, x, opt)
      if label == "defaults" and sizes == tied then
        tap.ok(good, name .. ": works with its defaults", "%s", y)
      end
      if good then
        ran = ran + 1
        -- bits: threads, views
        local same_bits = true
        for _, n in ipairs { 1, 3 } do
          fv.threads(n)
          same_bits = same_bits and all_same(y, call(op, x, opt))
        end
        fv.threads(2)
        if not same_bits then worst_line = worst_line .. label .. ": threads change bits; " end
        local views = {}
        for i, t in ipairs(x) do
          views[i] = t and t:ndim() >= 2 and t:transpose():contiguous():transpose() or t
        end
        if not all_same(y, call(op, views, opt)) then
          worst_line = worst_line .. label .. ": a transposed view changes the result; "
        end
        -- f32 near f64, every level
        local small = {}
        for i, t in ipairs(x) do
          small[i] = t and (t:dtype() == "f64" and t:to "f32" or t)
        end
        local exact = {}
        for i, t in ipairs(small) do exact[i] = t and (t:dtype() == "f32" and t:to "f64" or t) end
        local ref = call(op, exact, opt)
        for _, isa in ipairs(ISAS[isa_now]) do
          fv.isa(isa)
          for j, z in ipairs(call(op, small, opt)) do
            local fin = ref[j]:isfinite():to "f64"
            local r0 = fv.where(ref[j]:isfinite(), ref[j], fv.zeros(1, { dtype = "f64" }))
            local z0 = fv.where(z:isfinite(), z, fv.zeros(1)):to "f64"
            local d = r0:numel() == 0 and 0 or ((z0 - r0) * fin):abs():max():item()
              / math.max(1, r0:abs():max():item())
            if not (d < 1e-4) or not same(z:isfinite(), ref[j]:isfinite()) then
              worst_line = worst_line .. ("%s: %s f32 off by %.2g; "):format(label, isa, d)
            end
          end
          local d = 0
          for j, z in ipairs(call(op, x, opt)) do
            local r0 = fv.where(y[j]:isfinite(), y[j], fv.zeros(1, { dtype = "f64" }))
            local z0 = fv.where(z:isfinite(), z, fv.zeros(1, { dtype = "f64" }))
            d = math.max(d, r0:numel() == 0 and 0 or (z0 - r0):abs():max():item()
              / math.max(1, r0:abs():max():item()))
          end
          if not (d < 1e-11) then
            worst_line = worst_line .. ("%s: %s f64 off by %.2g; "):format(label, isa, d)
          end
        end
        fv.isa(isa_now)
        -- gradient
        if op.differentiable and not op.caps.surrogate and y[1]:isfinite():all():item() == 1 then
          local ok, gap, where = pcall(gradient_gap, op, x, opt)
          if not ok then
            if not tostring(gap):find "not differentiable" then
              worst_line = worst_line .. label .. ": vjp raised: " .. tostring(gap) .. "; "
            end
          elseif not (gap < 1e-6) then
            worst_line = worst_line .. ("%s: gradient of %s off by %.2g; "):format(label, where, gap)
          end
        end
      end
    end
  end
  tap.ok(worst_line == "", ("%s: bits, views, dtypes, levels and gradients (%d settings)")
    :format(name, ran), "%s", worst_line)

  -- batch: broadcasting equals a loop over entries, gradients of shared inputs sum
  do
    local x = draws(op, { 2, 1 }, tied, "f64", 5)
    for i, a in ipairs(op.inputs) do
      if x[i] and i > 1 then x[i] = draw(a, { 1, 3 }, tied, "f64", 50 + i) end
    end
    local y = call(op, x)
    local good = true
    for i = 1, #op.inputs > 0 and x[2] and 3 or 1 do
      for j = 1, 2 do
        local one = {}
        for k, t in ipairs(x) do
          one[k] = t and (k == 1 and t[j][1] or t[1][i])
        end
        for k, z in ipairs(call(op, one)) do good = good and same(z, y[k][j][i]) end
      end
    end
    tap.ok(good, name .. ": a broadcast batch equals a loop over its entries")
    if op.differentiable and not op.caps.surrogate then
      local gap, where = gradient_gap(op, x)
      tap.ok(gap < 1e-6, name .. ": gradients of shared inputs are summed", "%s off by %.2g", where, gap)
    end
  end

  -- misuse
  local x = draws(op, {}, tied, "f32", 3)
  local last = 0
  for i, a in ipairs(op.inputs) do if not a.optional then last = i end end
  local args = {}
  for i = 1, last do args[i] = x[i] end
  local a = op.inputs[last]
  if #a.dims > 0 then
    local bad = table.move(args, 1, last, 1, {})
    local s = specimen.shape(a, tied, true)
    local letter, bound = a.dims:sub(-1), false
    for i = 1, last - 1 do bound = bound or op.inputs[i].dims:find(letter, 1, true) end
    if bound then
      s[#s] = s[#s] + 1
      bad[last] = fv.zeros(s)
      tap.raises("bad argument #" .. last .. " to '" .. name .. "' %(" .. a.name .. ": expected %(",
                 name .. ": a misfit names argument, expected and got", op, table.unpack(bad))
    end
    bad[last] = fv.zeros(specimen.shape(a, tied, true), { dtype = "i64" })
    if not a.dtype then
      tap.raises(a.name .. ": expected f32", name .. ": refuses integers", op, table.unpack(bad))
    end
    bad[last] = "text"
    tap.raises(a.name .. ": expected a tensor, got string", name .. ": refuses a string", op,
               table.unpack(bad))
    args[last] = nil
    tap.raises(a.name .. ": expected a tensor, got no value", name .. ": a missing input is named",
               op, table.unpack(args, 1, last - 1))
    args[last] = x[last]
  end
  args[last + 1] = { nonsense = 1 }
  tap.raises("unknown option 'nonsense'", name .. ": rejects unknown options", op, table.unpack(args))
  for _, o in ipairs(op.options) do
    local wrong = o.type == "boolean" and 3 or "wrong"
    args[last + 1] = { [o.name] = wrong }
    tap.raises("option '" .. o.name .. "': expected", name .. ": option " .. o.name .. " is typed", op,
               table.unpack(args))
    if o.hi and o.hi < 1e300 then
      args[last + 1] = { [o.name] = o.hi + math.max(1, math.abs(o.hi)) }
      tap.raises("option '" .. o.name .. "': expected", name .. ": option " .. o.name .. " has a range",
                 op, table.unpack(args))
    end
  end

  -- empty and one-element sizes: a result or an error, never a crash
  local survived = true
  local seen = {}
  for _, i in ipairs(op.inputs) do
    for l in i.dims:gmatch "%a" do
      for n = 0, 1 do
        if not seen[l .. n] then
          seen[l .. n] = true
          local sizes = setmetatable({ [l] = n }, { __index = tied })
          for _, opt in ipairs { {}, { causal = true } } do
            local good, y = pcall(call, op, draws(op, { 2 }, sizes, "f32", 4), opt)
            survived = survived and (good or type(y) == "string")
            if good and op.differentiable then
              local ok, err = pcall(op.vjp, op, draws(op, { 2 }, sizes, "f32", 4), y, y, opt)
              survived = survived and (ok or type(err) == "string")
            end
          end
        end
      end
    end
  end
  tap.ok(survived, name .. ": empty and one-element sizes")

  -- causality: outputs before a changed token keep their bits
  local causal_opt
  for _, o in ipairs(op.options) do causal_opt = causal_opt or o.name == "causal" end
  if op.caps.causal then
    local sizes = setmetatable({ n = 9, m = 9 }, { __index = tied })
    local good, letter = true, op.inputs[1].dims:sub(1, 1)
    for t = 2, 9, 3 do
      local u = draws(op, {}, sizes, "f32", 8)
      local opt = causal_opt and { causal = true } or {}
      local y = call(op, u, opt)[1]
      for i, b in ipairs(op.inputs) do
        local d = b.dims:sub(1, 1)
        if u[i] and (d == letter or d == "m") and #b.dims > 0 and b.least == #b.dims then
          u[i]:slice(1, t, 9):fill(b.name == "beta" and 0.25 or 0.75)
        end
      end
      good = good and same(call(op, u, opt)[1]:slice(1, 1, t - 1), y:slice(1, 1, t - 1))
    end
    tap.ok(good, name .. ": outputs before a changed token keep their bits")
  end

  if op.inputs[1] then
    local sizes = {}
    for _, i in ipairs(op.inputs) do for l in i.dims:gmatch "%a" do sizes[l] = size_of(l, tied) end end
    local good, c = pcall(op.cost, op, sizes)
    tap.ok(good and c.flops >= 0 and c.bytes > 0, name .. ": has a cost", "%s", tostring(c))
  end
end

-- a fresh process computes the same bits
local probe = [[
local fv = require "fovea"
local s = fv.rng(3):stream("x")
local q, k, v = s:normal(2, 70, 8), s:normal(2, 70, 8), s:normal(2, 70, 5)
local o = fv.softmax_attention(q, k, v, {causal = true})
print((o * fv.arange(o:numel()):reshape(o:shape()):to "f32"):sum():item())
]]
local function fresh(threads)
  local exe = io.open("/proc/self/cmdline"):read "a":match "^[^%z]+"
  local p = io.popen(("FOVEA_THREADS=%d %s -e '%s'"):format(threads, exe, probe:gsub("'", "'\\''")))
  local text = p:read "a"
  p:close()
  return text
end
if not only then
  local a, b = fresh(1), fresh(2)
  tap.ok(#a > 3 and a == b, "a fresh process gives the same bits at 1 and 2 threads", "%s and %s", a, b)
end

tap.done()
