--- correlation of a row with its like in the next block

return {
  name = "draws_blocks",
  doc = "Blocks of d rows of a sampler are drawn independently.\n"
     .. "Row i does not correlate with row i of the next block (one seed for every block is found\n"
     .. "here), nor one draw with the next. figure: the largest distance of mean w_i.w_{i+d} from 0 in\n"
     .. "standard errors.",
  kinds = "sampler",
  build = function()
    return {
      applies = function(s)
        if s.opt.rows < 2 * s.opt.d then return false, "there is one block: give rows=" end
        return s.law ~= nil or s.caps.orthogonal == true, "it claims no independent blocks"
      end,
      test = function(s)
        local d, W = s.opt.d, s:all()
        local a, b = W:slice(2, 1, d), W:slice(2, d + 1, 2 * d)
        local x = (a * b):sum(-1):mean(-1)
        local N = W:size(1)
        local z = math.abs(x:mean():item()) / (math.sqrt(x:var():item() / N) + 1e-12)
        local next_draw = (W:slice(1, 1, N - 1) * W:slice(1, 2, N)):sum(-1):mean(-1)
        local other = math.abs(next_draw:mean():item()) / (math.sqrt(next_draw:var():item() / N) + 1e-12)
        return { figure = math.max(z, other), bound = 4.5,
                 note = z > 4.5 and "blocks repeat" or other > 4.5 and "draws repeat" or nil }
      end
    }
  end
}
