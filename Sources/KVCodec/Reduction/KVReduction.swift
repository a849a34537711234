public enum KVReduction {
  public static let positionsName = "positions"
}
