--- Rows of the arrays of an .npz or .safetensors file.

local fv = require "fovea"
local corpus = require "fovea.corpus"

return {
  name = "npz",
  doc = "Rows of named arrays: each tensor of the file, (batch, ...) by its first dimension, which\n"
     .. "all arrays share. Dtypes are the file's, as fv.load reads them. The hash of a row's place\n"
     .. "decides its split.",
  options = { { "path", "string", nil, ".npz or .safetensors file", required = true } },
  call = { { "batch", "integer", 16, "rows", lo = 1, hi = 1048576 } },
  example = 'd = fv.data("npz", {path="arrays.npz"}); b = d:batch("train", 1, {batch=32}); print(b.x)',
  build = function(opt, name)
    if not opt.path:find "%.npz$" and not opt.path:find "%.safetensors$" then
      error(("%s: option 'path': expected a file that ends in .npz or .safetensors, got '%s'"):format(name,
            opt.path), 0)
    end
    local good, arrays = pcall(fv.load, opt.path)
    if not good then error(name .. ": " .. arrays, 0) end
    local names, n = {}, nil
    for key in pairs(arrays) do names[#names + 1] = key end
    table.sort(names)
    for _, key in ipairs(names) do
      local rows = arrays[key]:ndim() > 0 and arrays[key]:size(1) or 0
      if rows == 0 then
        error(("%s: '%s': '%s' has no rows: its shape is (%s)"):format(name, opt.path, key,
              table.concat({ arrays[key]:shape() }, ",")), 0)
      end
      n = n or rows
      if rows ~= n then
        error(("%s: '%s': arrays must share their first size: '%s' has %d rows, '%s' has %d"):format(name,
              opt.path, names[1], n, key, rows), 0)
      end
    end
    if not n then error(("%s: '%s' holds no array"):format(name, opt.path), 0) end
    local rows = corpus.rows(n)
    return { sizes = rows.sizes, arrays = arrays,
      draw = function(split, stream, v)
        local list, out = rows.draw(split, stream, v.batch, name), {}
        local at = corpus.ids(list, #list)
        for _, key in ipairs(names) do out[key] = arrays[key]:index_select(1, at) end
        return out
      end }
  end
}
