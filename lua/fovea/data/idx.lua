--- Images and labels in the IDX format of MNIST.

local fv = require "fovea"
local corpus = require "fovea.corpus"

--- By the third byte: how string.unpack reads an element, and its size.
local types = { [0x08] = { "B", 1 }, [0x09] = { "b", 1 }, [0x0B] = { ">i2", 2 }, [0x0C] = { ">i4", 4 },
                [0x0D] = { ">f", 4 }, [0x0E] = { ">d", 8 } }

--- { dims, type, bytes, at } of an IDX file; its header must agree with its size.
local function open(path, who)
  local s = corpus.read(path, who)
  local function bad(why, ...) error(("%s: '%s': "):format(who, path) .. why:format(...), 0) end
  if #s < 4 or s:byte(1) ~= 0 or s:byte(2) ~= 0 then bad "not an IDX file: expected two zero bytes first" end
  local kind, ndim = types[s:byte(3)], s:byte(4)
  if not kind then bad("unknown element type 0x%02x", s:byte(3)) end
  if ndim < 1 or ndim > 6 then bad("expected 1 to 6 dimensions, got %d", ndim) end
  if #s < 4 + 4 * ndim then bad("ends inside its header of %d dimensions", ndim) end
  local dims, need = {}, kind[2]
  for i = 1, ndim do
    dims[i] = (">I4"):unpack(s, 1 + 4 * i)
    if dims[i] == 0 then bad("dimension %d is 0", i) end
    need = need * dims[i]
    if need > #s then break end       -- sizes that lie must not overflow
  end
  if need ~= #s - 4 - 4 * ndim then
    bad("its header asks for (%s) elements of %d bytes, the file has %d bytes of them",
        table.concat(dims, ","), kind[2], #s - 4 - 4 * ndim)
  end
  return { dims = dims, kind = kind, s = s, at = 5 + 4 * ndim, row = (#s - 4 - 4 * ndim) // dims[1] }
end

--- Appends the elements of row i to 'out'.
local function row(f, i, out)
  local at, format = f.at + (i - 1) * f.row, f.kind[1]
  local stop = at + f.row
  while at < stop do out[#out + 1], at = format:unpack(f.s, at) end
end

return {
  name = "idx",
  doc = "Images in the IDX format of MNIST: x f32 (batch, rows, columns), and labels y i64 (batch)\n"
     .. "where given, counted from 1 (label + 1). Unsigned bytes are scaled to 0 .. 1, other types\n"
     .. "stay. The hash of a row's place decides its split. Files may be gzipped.",
  ref = "LeCun, Cortes & Burges, the MNIST database of handwritten digits: its file format",
  options = {
    { "images", "string", nil, "IDX file of at least 2 dimensions", required = true },
    { "labels", "string", "", "IDX file of one dimension with as many entries" }
  },
  call = { { "batch", "integer", 16, "images", lo = 1, hi = 65536 } },
  example = 'd = fv.data("idx", {images="train-images-idx3-ubyte.gz", labels="train-labels-idx1-ubyte.gz"})',
  build = function(opt, name)
    local images = open(opt.images, name)
    local labels = opt.labels ~= "" and open(opt.labels, name)
    if #images.dims < 2 then
      error(("%s: '%s': expected at least 2 dimensions, got 1"):format(name, opt.images), 0)
    end
    if labels and (#labels.dims ~= 1 or labels.dims[1] ~= images.dims[1] or labels.kind[1]:find "[fd]") then
      error(("%s: '%s': expected %d whole numbers, one for each image, got (%s) of type %s"):format(name,
            opt.labels, images.dims[1], table.concat(labels.dims, ","), labels.kind[1]), 0)
    end
    local rows = corpus.rows(images.dims[1])
    local classes = 0
    if labels then
      local all = {}
      for i = 1, labels.dims[1] do row(labels, i, all) end
      for i, y in ipairs(all) do
        if y < 0 then
          error(("%s: '%s': label %d: expected a class from 0, got %d"):format(name, opt.labels, i, y), 0)
        end
        classes = math.max(classes, y + 1)
      end
    end
    return { sizes = rows.sizes, shape = { table.unpack(images.dims, 2) },
             classes = labels and classes or false,
      draw = function(split, stream, v)
        local list, x, y = rows.draw(split, stream, v.batch, name), {}, {}
        for _, i in ipairs(list) do
          row(images, i, x)
          if labels then row(labels, i, y) end
        end
        local out = { x = fv.tensor(x):reshape(#list, table.unpack(images.dims, 2)) }
        if images.kind[1] == "B" then out.x = out.x / 255 end
        if labels then out.y = corpus.ids(y, #list) + 1 end
        return out
      end }
  end
}
