-- Everything shipped passes fv.check, at sizes where each property can be seen.

local fv = require "fovea"
local tap = require "tap"

-- options by name, where the defaults are larger than the check's inputs or cannot be made
local parts = { fv.kernel("gaussian", { scale = 0.5 }), fv.kernel "softmax" }
local small = {
  kernel = { product = { parts = parts }, sum = { parts = parts }, scaled = { factor = 3, kernel = parts[1] },
             user = { gram = function(x, y) return (x:matmul(y:t()) + 1) ^ 2 end } },
  attention = { nystrom = { landmarks = 4 }, svd = { rank = 3 }, topm = { keep = 4 } }
}

for _, kind in ipairs { "map", "kernel", "attention", "rule", "sampler", "operator" } do
  local names = {}
  if kind == "operator" then
    for name, op in pairs(fv.ops) do if op.kind == "operator" then names[#names + 1] = name end end
    table.sort(names)
  else names = fv[kind == "sampler" and "sample" or kind].names() end
  for _, name in ipairs(names) do
    local made, r = pcall(fv.check, name, { kind = kind, options = (small[kind] or {})[name],
                                            quiet = true })
    if not made and tostring(r):find "is required" then tap.diag("%s: %s", name, r)      -- add it to 'small'
    else tap.ok(made and r.passed, tostring(r), "%s", made and r:text() or r) end
  end
end

-- the report
do
  local function flat(x) return x * 0 - 1 end
  local r = fv.check(flat, { kind = "map", name = "flat", caps = "nonneg", quiet = true, seed = 2 })
  tap.ok(not r.passed and table.concat(r.failed, " ") == "nonneg", "report.failed lists what failed", "%s",
         r:text())
  tap.ok(tostring(r):find "check map flat: FAILS nonneg; ", "one line says so", "%s", tostring(r))
  local row
  for _, x in ipairs(r.rows) do if x.property == "nonneg" then row = x end end
  tap.ok(row.verdict == "fail" and row.figure == 1 and row.bound == 0 and row.note == "smallest -1",
         "a row has figure, bound and note")
  local text = r:text()
  tap.ok(text:find "\n  nonneg +FAIL +1 <= 0" and text:find "not tested:\n.*unbiased +its caps do not say unbiased",
         "the table says what was not tested and why", "%s", text)
  tap.raises("check: map 'flat' fails nonneg: 1 > 0 %(smallest %-1%)", "assert names the property", r.assert, r)
  tap.raises("check: map 'flat' fails nonneg", "strict raises", fv.check, flat,
             { kind = "map", name = "flat", caps = "nonneg", quiet = true, strict = true })
  local good = fv.check(flat, { kind = "map", quiet = true, skip = "half norms", only = "nonneg rowwise" })
  tap.ok(good:assert() == good and #good.rows == 2, "only and skip choose; assert gives the report back")
  local broken = fv.check(function() error "out of ideas" end, { kind = "map", quiet = true, only = "dtype" })
  tap.ok(broken.rows[1].verdict == "fail" and broken.rows[1].note:find "raised: .*out of ideas",
         "what raises fails")
  local again = fv.check("positive", { quiet = true, seed = 5 }):text()
  tap.is(fv.check("positive", { quiet = true, seed = 5 }):text(), again, "same seed, same report")
end

-- refusals
tap.raises("check: expected a thing", "nothing", fv.check)
tap.raises("check: expected a map, sampler.*got integer", "a number", fv.check, 3)
tap.raises("check: expected a map, sampler.*got tensor", "a tensor", fv.check, fv.zeros(2, 2))
tap.raises("a function needs kind", "a function alone", fv.check, print)
tap.raises("nothing is named 'postive'", "a name nobody has", fv.check, "postive")
tap.raises("did you mean 'positive'", "and its kind is known", fv.check, "postive", { kind = "map" })
tap.raises("'favor' is the name of several things %(map, attention%)", "an ambiguous name", fv.check, "favor")
tap.raises("property: nothing is named 'casual'; did you mean 'causal'", "a property nobody has", fv.check,
           "softmax", { kind = "attention", only = "casual" })
tap.raises("unknown option 'sed' %(did you mean 'seed'%?%)", "an option nobody has", fv.check, "elu1", { sed = 1 })
tap.raises("needs sig=", "an operator without a signature", fv.check, print, { kind = "operator" })
tap.raises("no reference is named 'flash'", "a reference nobody has", fv.check, print,
           { kind = "attention", reference = "flash" })

tap.done()
