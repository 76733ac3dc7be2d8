--- Which direction numbers keep the planes of a Sobol sequence even?

local sobol = require "fovea.sobol"

return {
  question = "Which initial direction numbers keep every pair of Sobol coordinates even?",
  options = {
    { name = "dim", type = "integer", default = 256, lo = 1, doc = "coordinates" },
    { name = "tries", type = "integer", default = 1000, lo = 1,
      doc = "candidates for each of the first 20 coordinates" },
  },
  run = function(opt)
    local best, line = sobol.search(opt.dim, opt.tries, { 3, 4, 5, 6, 7, 8, 9, 10 }), "  "
    for _, c in ipairs(best) do
      local word = c .. ","
      if #line + #word + 1 > 100 then
        print(line)
        line = "  "
      end
      line = line .. (line == "  " and "" or " ") .. word
    end
    print(line)
  end,
}
