namespace kif;

/** Materials. */
entity Products {
  key ID          : String(40);
      description : String(200);
      unit        : String(3);
      value       : Decimal(15, 2);
      price       : Decimal(15, 2);
      weight      : Decimal(13, 3);
      introduced  : Date;
      changedAt   : Timestamp;
      active      : Boolean;
      batchSize   : Int64;
}

/** Sites that hold or make products. */
entity Plants {
  key ID        : String(4);
      name      : String(80);
      country   : String(2);
      longitude : Double;
      latitude  : Double;
      opens     : Time;
}

/** What lies where. */
entity Stock {
  key plant         : String(4);
  key product       : String(40);
      quantity      : Decimal(15, 3);
      safetyStock   : Decimal(15, 3);
      countedAt     : DateTime;
      deliveryDays  : Integer;
}

/** Who supplies what, and how quickly. */
entity Sources {
  key plant             : String(4);
  key product           : String(40);
  key supplier          : String(10);
      leadTimeDays      : Decimal(7, 2);
      leadTimeDeviation : Decimal(7, 2);
      netPrice          : Decimal(15, 2);
      lot               : Decimal(15, 3);
}

/** Purchase orders, with their items. */
entity Orders {
  key ID        : String(10);
      supplier  : String(10);
      orderedOn : Date;
      createdAt : Timestamp;
      note      : String(200);
      items     : Composition of many OrderItems on items.parent = $self;
}

entity OrderItems {
  key parent       : Association to Orders;
  key position     : Integer;
      plant        : String(4);
      product      : String(40);
      quantity     : Decimal(15, 3);
      netPrice     : Decimal(15, 2);
      deliveryDate : Date;
}

/** What came for purchase orders, and when. */
entity GoodsReceipts {
  key order    : String(10);
  key position : Integer;
  key number   : Integer;
      postedOn : Date;
      quantity : Decimal(15, 3);
}

/** What left the plants, day by day. */
entity Sales {
  key ID       : Integer64;
      plant    : String(4);
      product  : String(40);
      day      : Date;
      quantity : Decimal(15, 3);
      shipped  : DateTime;
}

/** What comes back: forecasts and safety stocks. */
entity Forecasts {
  key plant       : String(4);
  key product     : String(40);
  key week        : Date;
      quantity    : Decimal(15, 3);
      safetyStock : Decimal(15, 3);
}

/** Products that change, with a log of changes. */
entity ChangingProducts {
  key ID          : String(40);
      description : String(200);
      price       : Decimal(15, 2);
      changedAt   : Timestamp;
}
