using { kif } from '../db/schema';

/** Plain CAP: no change tracking, whatever a client prefers. */
@path: 'supply'
@requires: 'authenticated-user'
service Supply {
  @readonly entity Products   as projection on kif.Products;
  @readonly entity Plants     as projection on kif.Plants;
  @readonly entity Stock      as projection on kif.Stock;
  @readonly entity Sources    as projection on kif.Sources;
  @readonly entity Orders     as projection on kif.Orders;
  @readonly entity OrderItems as projection on kif.OrderItems;
  @readonly entity GoodsReceipts as projection on kif.GoodsReceipts;
  @readonly entity Sales      as projection on kif.Sales;
  entity Forecasts            as projection on kif.Forecasts;
}

/** With true delta links: srv/changing.js keeps a log of changes. */
@path: 'changing'
@requires: 'authenticated-user'
@impl: 'srv/changing.js'
service Changing {
  entity Products as projection on kif.ChangingProducts;
}
