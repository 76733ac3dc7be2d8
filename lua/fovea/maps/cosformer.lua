--- phi(x_i) = relu(x_i) (x) [cos t_i, sin t_i], t_i = pi i / (2 length)

local fv = require "fovea"
local projection = require "fovea.projection"

return {
  name = "cosformer",
  doc = "cosFormer: phi(q_i).phi(k_j) = relu(q_i).relu(k_j) cos(pi (i - j) / (2 length)), M = 2d.\n"
     .. "Positions i = offset + 1 .. offset + n along the dimension before the last; length must reach\n"
     .. "the last of them and is fixed, so that a prefix does not change with n. Never negative; a row\n"
     .. "can be all zero. phi:kernel is exact for the same offset. O(nd).",
  ref = "Qin et al. 2022, \"cosFormer\", arXiv:2202.08791",
  caps = "nonneg exact",
  options = projection.plain_options {
    { "length", "integer", nil, "the largest position", lo = 1, required = true },
    { "offset", "integer", 0, "position before the first row, as when decoding", lo = 0 }
  },
  example = 'phi = fv.map("cosformer", {length=1024}); phi(q)',
  build = function(opt, name, caps)
    local function angles(x)
      local n = x:ndim() > 1 and x:size(-2) or 1
      if opt.offset + n > opt.length then
        error(("%s: x: expected positions up to length=%d, got %d")
          :format(name, opt.length, opt.offset + n), 0)
      end
      return fv.arange(opt.offset + 1, opt.offset + n, { dtype = "f64" }) * (math.pi / 2 / opt.length)
    end
    return projection.plain(opt, name, caps, {
      width = 2,
      cost = function(n, d) return projection.elementwise(n, d, 2 * d, 1) end,
      features = function(x)
        local r, t = x:relu(), angles(x):unsqueeze(-1)
        return fv.cat({ r * t:cos():to(x:dtype()), r * t:sin():to(x:dtype()) }, x:ndim())
      end,
      kernel = function(x, y)
        local t = (angles(x):unsqueeze(-1) - angles(y):unsqueeze(-2)):cos():to(x:dtype())
        return x:relu():matmul(y:relu():t()) * t
      end
    })
  end
}
