// The same data each time: a small seeded generator, and values that are easy to get wrong.
const cds = require('@sap/cds')

const { PEER_PRODUCTS = 2000, PEER_SALES = 20000 } = process.env
const PLANTS = [
  ['DE01', 'Werk München', 'DE', 11.57, 48.14], ['DE02', 'Werk Köln', 'DE', 6.96, 50.94],
  ['CZ01', 'Závod Plzeň', 'CZ', 13.38, 49.75], ['IT01', 'Stabilimento Bolzano', 'IT', 11.35, 46.5],
]

function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const number = (text, width) => String(text).padStart(width, '0')
const product = (n) => `M-${number(n, 6)}`
const day = (n) => new Date(Date.UTC(2024, 0, 1 + n)).toISOString().slice(0, 10)
const cents = (draw, most) => (Math.round(draw() * most * 100) / 100).toFixed(2)

function products(draw) {
  const rows = Array.from({ length: Number(PEER_PRODUCTS) }, (_, n) => ({
    ID: product(n), description: `Ventil ${n} – Größe ½″`, unit: 'ST', value: cents(draw, 500), price: cents(draw, 900),
    weight: (draw() * 40).toFixed(3), introduced: day(Math.floor(draw() * 700)),
    changedAt: new Date(Date.UTC(2025, 5, 1) + n * 61_123).toISOString(), active: draw() < 0.9, batchSize: n,
  }))
  Object.assign(rows[0], { value: '9999999999999.99', batchSize: '9007199254740993', weight: '-0.001' })
  Object.assign(rows[1], { value: null, price: '0.10', weight: null, introduced: null, changedAt: null, active: null })
  Object.assign(rows[2], { description: "../../etc/passwd, \"quoted\", 'single' \n second line 🙂", introduced: '0001-01-01' })
  Object.assign(rows[3], { value: '0.01', introduced: '9999-12-31', description: '' })
  return rows
}

/** What came: each supplier has a mean of its own, every eleventh line comes in two parts, and the last ones are late. */
function receipts(draw, orders, items) {
  const ordered = new Map(orders.map((order) => [order.ID, Date.parse(order.orderedOn)]))
  const rows = []
  items.forEach((item, n) => {
    const supplier = Number(item.parent_ID) % 4500000000 % 37
    const wait = Math.round((8 + (supplier % 9)) * (0.5 + draw() + draw() * 0.5)), first = n % 11 ? 1 : 2
    for (let number = 1; number <= first; number++) {
      const at = ordered.get(item.parent_ID) + (wait + (number - first) * 2) * 86_400_000
      const postedOn = new Date(at).toISOString().slice(0, 10)
      const share = first === 1 ? 1 : number === 1 ? 0.6 : 0.4
      if (postedOn > day(699)) continue // not yet
      rows.push({ order: item.parent_ID, position: item.position, number, postedOn, quantity: (item.quantity * share).toFixed(3) })
    }
  })
  return rows
}

async function insert(entity, rows) {
  for (let at = 0; at < rows.length; at += 1000) await INSERT.into(entity).entries(rows.slice(at, at + 1000))
}

async function fill() {
  const draw = generator(2026)
  const entities = cds.entities('kif')
  const stocked = Math.min(1500, Number(PEER_PRODUCTS))
  await insert(entities.Products, products(draw))
  await insert(entities.Plants, PLANTS.map(([ID, name, country, longitude, latitude]) => ({
    ID, name, country, longitude, latitude, opens: '06:30:00',
  })))
  const stock = [], sources = [], orders = [], items = []
  for (let n = 0; n < stocked; n++) for (const [plant] of PLANTS) {
    stock.push({
      plant, product: product(n), quantity: (draw() * 900).toFixed(3), safetyStock: (draw() * 90).toFixed(3),
      countedAt: new Date(Date.UTC(2025, 10, 1, 6, n % 60)).toISOString().replace(/\.\d+/, ''), deliveryDays: 3 + (n % 20),
    })
    sources.push({
      plant, product: product(n), supplier: number(100000 + (n % 37), 10), leadTimeDays: (4 + draw() * 30).toFixed(2),
      leadTimeDeviation: (draw() * 5).toFixed(2), netPrice: cents(draw, 300), lot: String(1 + Math.floor(draw() * 20)),
    })
  }
  for (let n = 0; n < 3000; n++) {
    const ID = number(4500000000 + n, 10)
    orders.push({
      ID, supplier: number(100000 + (n % 37), 10), orderedOn: day(n % 700),
      createdAt: new Date(Date.UTC(2024, 0, 1) + n * 3_600_123).toISOString(), note: n % 7 ? null : `eilig, Lieferung ${n}`,
    })
    for (let position = 1; position <= n % 4; position++) items.push({
      parent_ID: ID, position: position * 10, plant: PLANTS[n % 4][0], product: product((n * position) % stocked),
      quantity: (1 + draw() * 99).toFixed(3), netPrice: cents(draw, 300), deliveryDate: day((n % 700) + 14),
    })
  }
  const sales = Array.from({ length: Number(PEER_SALES) }, (_, n) => {
    const at = Math.floor(n / 20), season = 1 + 0.4 * Math.sin((2 * Math.PI * at) / 365)
    return {
      ID: n + 1, plant: PLANTS[n % 4][0], product: product(n % 20), day: day(at),
      quantity: Math.max(0, Math.round(season * (20 + (n % 20)) + 8 * (draw() + draw() + draw() - 1.5))).toFixed(3),
      shipped: new Date(Date.UTC(2024, 0, 1 + at, 14, n % 60)).toISOString().replace(/\.\d+/, ''),
    }
  })
  await insert(entities.Stock, stock)
  await insert(entities.Sources, sources)
  await insert(entities.Orders, orders)
  await insert(entities.OrderItems, items)
  await insert(entities.GoodsReceipts, receipts(generator(8), orders, items))
  await insert(entities.Sales, sales)
  await insert(entities.ChangingProducts, Array.from({ length: 230 }, (_, n) => ({
    ID: product(n), description: `Pumpe ${n}`, price: cents(draw, 900), changedAt: new Date(Date.UTC(2025, 0, 1)).toISOString(),
  })))
  console.log('filled')
}

module.exports = { fill }
