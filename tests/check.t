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

-- what is known to fail, and why it is not a defect
local known = { }

for _, kind in ipairs { "map", "kernel", "attention", "rule", "sampler", "operator" } do
  local names = {}
  if kind == "operator" then
    for name, op in pairs(fv.ops) do if op.kind == "operator" then names[#names + 1] = name end end
    table.sort(names)
  else names = fv[kind == "sampler" and "sample" or kind].names() end
  for _, name in ipairs(names) do
    local made, r = pcall(fv.check, name, { kind = kind, options = (small[kind] or {})[name],
                                            quiet = true, skip = known[name] })
    if not made and tostring(r):find "is required" then tap.diag("%s: %s", name, r)      -- add it to 'small'
    else tap.ok(made and r.passed, tostring(r), "%s", made and r:text() or r) end
  end
end

tap.done()
