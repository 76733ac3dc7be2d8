--- each landmark the point farthest from those before

local fv = require "fovea"
local distances = require "fovea.distances"

return {
  name = "farthest",
  doc = "Each landmark the row farthest from all those before.\n"
     .. "The first is the row nearest to the mean. No m points cover the rows within less than half the\n"
     .. "radius that these need. Equal rows: the first. O(nmd), in f64.",
  ref = "Gonzalez 1985, Clustering to Minimize the Maximum Intercluster Distance",
  example = 'fv.landmarks("farthest", {count=64})(x)',
  build = function()
    return {
      pick = function(x, m)
        local at = ((x - x:mean(-2):unsqueeze(-2)) ^ 2):sum(-1):argmin(-1)
        local gap, list, to_row = nil, {}, distances.to_row(x)
        for i = 1, m do
          list[i] = at
          local new = to_row(at)
          gap = gap and gap:minimum(new) or new
          gap = fv.where(at:one_hot(x:size(2)):gt(0), -1, gap)     -- never the same row twice
          at = gap:argmax(-1)
        end
        return fv.stack(list, -1)
      end
    }
  end
}
