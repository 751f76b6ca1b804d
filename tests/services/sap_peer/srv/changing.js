// True change tracking for the service `Changing`: a log of changes, and delta links that point into it.
const cds = require('@sap/cds')
const { fill } = require('./filling')

cds.once('served', fill)

const log = [] // {number, ID, gone}

module.exports = class Changing extends cds.ApplicationService {
  async init() {
    const { Products } = this.entities
    this.after(['CREATE', 'UPDATE', 'DELETE'], Products, (_, req) => {
      const ID = req.data.ID ?? req.params.at(-1)?.ID ?? req.params.at(-1)
      log.push({ number: log.length + 1, ID, gone: req.event === 'DELETE' })
    })
    this.on('READ', Products, async (req, next) => {
      const asked = req.http?.req?.query
      const token = asked?.$deltatoken ?? asked?.['!deltatoken']
      if (token !== undefined) return changes(Products, Number(String(token).replaceAll("'", '')))
      if (!asked || req.query.SELECT.one) return next()
      asked.since ??= String(log.length) // next links carry it on: what changes while pages are read is not missed
      const rows = await next()
      if (!Array.isArray(rows)) return rows
      const wanted = /track-changes/.test(req.headers.prefer || '') || req.headers['x-cds-odata-version'] === 'v2'
      if (wanted && rows.length < 50) rows.$deltaLink = `Products?${link(asked.since)}`
      return rows
    })
    return super.init()
  }
}

const link = (number) => `$deltatoken=${number}&!deltatoken=${number}`

async function changes(Products, since) {
  const last = new Map()
  for (const entry of log) if (entry.number > since) last.set(entry.ID, entry)
  const there = [...last.values()].filter((entry) => !entry.gone).map((entry) => entry.ID)
  const rows = there.length ? await SELECT.from(Products).where({ ID: { in: there } }) : []
  for (const entry of last.values()) if (entry.gone) rows.push({ ID: entry.ID, '@removed': { reason: 'deleted' } })
  rows.$deltaLink = `Products?${link(log.length)}`
  return rows
}
