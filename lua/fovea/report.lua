--- One self-contained HTML page: text, tables and figures, nothing fetched.

local grid = require "fovea.grid"
local results = require "fovea.results"

local style = [[
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.6rem}h2{margin-top:2rem;font-size:1.2rem}table{border-collapse:collapse;font-size:.85rem}
th{text-align:left;border-bottom:2px solid #444;padding:.2rem .7rem}
td{padding:.15rem .7rem;white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums}tr.rule td{border-top:1px solid #bbb}
figure{margin:1rem 0}figure svg{max-width:100%;height:auto}figcaption,footer{color:#555;font-size:.85rem}
pre{background:#f6f6f6;padding:.7rem;overflow:auto;font-size:.8rem}]]

local report = {}
report.__index = report

function report.new(title)
  return setmetatable({ title = title, parts = {} }, report)
end

function report:text(s)
  for p in (s .. "\n\n"):gmatch "(.-)\n\n+" do
    if p:find "%S" then self.parts[#self.parts + 1] = "<p>" .. grid.escape(p) .. "</p>" end
  end
end

function report:heading(s) self.parts[#self.parts + 1] = "<h2>" .. grid.escape(s) .. "</h2>" end
function report:table(g) self.parts[#self.parts + 1] = g:html() end
function report:pre(s) self.parts[#self.parts + 1] = "<pre>" .. grid.escape(s) .. "</pre>" end

--- Puts an SVG file inside the page.
function report:figure(path, caption)
  local f = assert(io.open(path))
  local svg = f:read "a":gsub("^<%?xml.-%?>%s*", ""):gsub("<!DOCTYPE.->%s*", "")
  f:close()
  self.parts[#self.parts + 1] = "<figure>" .. svg .. "<figcaption>" .. grid.escape(caption or "")
    .. "</figcaption></figure>"
end

function report:html()
  return table.concat { "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
    grid.escape(self.title), "</title><style>", style, "</style></head><body><h1>",
    grid.escape(self.title), "</h1>", table.concat(self.parts, "\n"), "</body></html>\n" }
end

--- For experiments: prints r.grid, r.reading and r.setting; writes them and r.figure (a plot, with
--- r.caption) into the folder as report.html, error.png and error.svg, and as results.csv the
--- columns r.columns of the grid; prints where.
function report.publish(folder, r)
  print(r.grid:text() .. "\n\n" .. r.reading .. "\n\n" .. r.setting)
  results.write(folder .. "/results.csv", r.grid:csv(r.columns))
  r.figure:save(folder .. "/error.png")
  r.figure:save(folder .. "/error.svg")
  local page = report.new(r.figure.title)
  page:text(r.reading)
  page:figure(folder .. "/error.svg", r.caption)
  page:heading "All results"
  page:table(r.grid)
  page:heading "Setting"
  page:pre(r.setting)
  results.write(folder .. "/report.html", page:html())
  print(("\nresults  %s/results.csv\nfigure   %s/error.png\nreport   %s/report.html"):format(folder, folder,
        folder))
end

return report
